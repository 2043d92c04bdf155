import os
import random

from metrics import GenericMetrics


class Metrics(GenericMetrics):
    def __init__(self, id, master_token, control_server_url, send_server_data):
        self.batch_capacity = None
        self.tokens_working = 0.0
        self.tokens_incoming = 0.0
        # the base starts the thread, so it comes last
        super().__init__(id, master_token, control_server_url, send_server_data)

    def send_data_condition(self):
        changed = self.cur_capacity_lastreport != self.tokens_working
        return (random.randint(0, 9) == 3 or changed) and self.model_loaded

    def fill_data(self, data):
        self.fill_data_generic(data)
        address, port = os.environ.get("PUBLIC_IPADDR", ""), os.environ.get("VAST_TCP_PORT_3000", 0)
        data["url"] = f"http://{address}:{port}"
        data["cur_capacity"] = self.tokens_working
        data["max_capacity"] = self.batch_capacity
        data["cur_load"] = self.tokens_incoming
        self.cur_capacity_lastreport = self.tokens_working
        self.tokens_incoming = 0.0

    def cost(self, request):
        return len(request["inputs"]) / 4.0 + request["parameters"]["max_new_tokens"]

    def start_req(self, request):
        self.num_requests_recieved += 1
        self.num_requests_working += 1
        self.tokens_working += self.cost(request)
        self.tokens_incoming += self.cost(request)

    def finish_req(self, request):
        self.num_requests_finished += 1
        self.num_requests_working -= 1
        self.tokens_working -= self.cost(request)

    def error_req(self, request, code=None):
        self.num_requests_recieved -= 1
        self.num_requests_working -= 1
        self.tokens_working -= self.cost(request)

    def report_batch_capacity(self, json_data):
        self.batch_capacity = json_data["max_batch_tokens"]

    def report_req_stats(self, log_data):
        self.cur_perf = 1 / log_data["time_per_token"]
