from metrics import GenericMetrics


def work_of(payload):
    return payload.get("width", 512) * payload.get("height", 512) * payload.get("steps", 50)


class Metrics(GenericMetrics):
    def __init__(self, *args):
        super().__init__(*args)
        self.work_incoming = 0
        self.work_finished = 0

    def send_data_condition(self):
        return self.model_loaded and self.work_finished != self.cur_capacity_lastreport

    def fill_data(self, data):
        self.fill_data_generic(data)
        data["cur_load"] = self.work_incoming
        self.work_incoming = 0
        self.cur_capacity_lastreport = self.work_finished

    def start_req(self, request):
        self.num_requests_recieved += 1
        self.num_requests_working += 1
        self.work_incoming += work_of(request)

    def finish_req(self, request):
        self.num_requests_working -= 1
        self.work_finished += work_of(request)
        self.cur_perf = work_of(request) / request["time_elapsed"]

    def error_req(self, request, code=None):
        self.num_requests_working -= 1

    def report_req_stats(self, log_data):
        self.overloaded = log_data["wait_time"] > 30.0
