from textgen.metrics import Metrics as TextgenMetrics


class Metrics(TextgenMetrics):
    def cost(self, request):
        return len(request["prompt"]) / 4.0 + request["max_new_tokens"]
