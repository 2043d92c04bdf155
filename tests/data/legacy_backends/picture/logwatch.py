import re

from logwatch import GenericLogWatch


class LogWatch(GenericLogWatch):
    def __init__(self, id, control_server_url, master_token):
        super().__init__(
            id=id,
            control_server_url=control_server_url,
            master_token=master_token,
            perf_test=None,
        )
        self.ready_pattern = re.compile(r"Model loaded in (\d+\.\d+)s")
        self.update_pattern = re.compile(r"took (\d+\.\d+)")
        self.loading_line = "Loading weights"

    def handle_line(self, line):
        if self.ready_pattern.search(line):
            self.model_loaded()
            return
        match = self.update_pattern.search(line)
        if match:
            self.send_model_update({"wait_time": float(match.group(1))})
