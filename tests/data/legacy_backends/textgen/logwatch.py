import json
import re

from logwatch import GenericLogWatch
from utils import send_data


class LastRun:
    """Stands in for a performance test."""

    def run(self, num_batches):
        return True, 250.0, 0.75


class LogWatch(GenericLogWatch):
    def __init__(self, id, control_server_url, master_token):
        super().__init__(id, control_server_url, master_token, perf_test=LastRun())
        self.loading_line = "starting model download"
        self.capacity_pattern = re.compile(r"max batch total tokens to (\d+)")

    def send_capacity(self, tokens):
        data = {"id": self.id, "mtoken": self.master_token, "max_batch_tokens": tokens}
        send_data(data, self.control_server_url, "/worker_status/", "logwatch-textgen")
        send_data(data, self.auth_server_url, "/report_capacity", "logwatch-internal")

    def send_error(self, message):
        data = {"id": self.id, "mtoken": self.master_token, "error_msg": message}
        send_data(data, self.control_server_url, "/worker_status/", "logwatch-textgen")
        send_data(data, self.auth_server_url, "/report_error", "logwatch-internal")

    def handle_line(self, line):
        line_json = json.loads(line)
        message = line_json["message"]
        match = self.capacity_pattern.search(message)
        if match:
            self.send_capacity(int(match.group(1)))
        elif message == "Connected":
            self.model_loaded()
        elif message == "Success":
            self.send_model_update({"time_per_token": line_json["time_per_token"]})
        elif line_json["level"] == "ERROR":
            self.send_error(message)
