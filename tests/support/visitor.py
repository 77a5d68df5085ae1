"""A visitor of the page without a browser: uploads, presses and closes the tab as the page's own scripts do."""

import json
import secrets
from contextlib import contextmanager

import httpx

PATIENCE = 120  # s: a busy machine is slow, not wrong


class Visitor:
    """One tab; `shown` holds what its components got last, by their names on the page."""

    def __init__(self, address):
        self.address = f"{address}/gradio_api"
        self.hash = secrets.token_hex(6)
        config = httpx.get(f"{address}/config", timeout=PATIENCE).json()
        self.parts = {each["id"]: each["props"] for each in config["components"]}
        self.events = config["dependencies"]
        self.shown = {name: props.get("value") for props in self.parts.values() if (name := props.get("elem_id"))}

    def upload(self, path):
        """The path that the server gave the file, as components hold it."""
        reply = httpx.post(f"{self.address}/upload", files={"files": (path.name, path.read_bytes())}, timeout=PATIENCE)
        return {"path": reply.json()[0], "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}

    def open(self, path):
        """Drop a video into the page."""
        return self.do("clip", "upload", clip=self.upload(path))

    @property
    def card(self):
        """What the result card was sent last."""
        return json.loads(self.shown["result"])

    @contextmanager
    def doing(self, name, event, **values):
        """The messages of an event as they come; leaving early is what closing the tab is."""
        chosen = self._event(name, event)
        self.shown |= values
        data = [self._value(number) for number in chosen["inputs"]]
        body = {"data": data, "fn_index": chosen["id"], "session_hash": self.hash, "event_data": None}
        httpx.post(f"{self.address}/queue/join", json=body, timeout=PATIENCE).raise_for_status()
        query = {"session_hash": self.hash}
        with httpx.stream("GET", f"{self.address}/queue/data", params=query, timeout=PATIENCE) as stream:
            yield (json.loads(line[5:]) for line in stream.iter_lines() if line.startswith("data:"))

    def do(self, name, event, **values):
        """An event to its end; returns its last message."""
        with self.doing(name, event, **values) as messages:
            for message in messages:
                if message["msg"] == "process_completed":
                    self._show(name, event, message["output"])
                    return message
        raise AssertionError("the server hung up")

    def live(self, function, **request):
        """What a script of the result card is answered."""
        number = next(number for number, props in self.parts.items() if props.get("elem_id") == "result")
        body = {"session_hash": self.hash, "component_id": number, "fn_name": function, "data": request}
        return httpx.post(f"{self.address}/component_server", json=body, timeout=PATIENCE).json()

    def _event(self, name, event):
        """The first function that an event calls; "click, success" is what follows it."""
        event, _, after = event.partition(", ")
        for each in self.events:
            named = [(self.parts.get(number, {}).get("elem_id"), kind) for number, kind in each["targets"]]
            if (name, event) in named and each["backend_fn"]:
                follow = [other for other in self.events if other["trigger_after"] == each["id"]]
                return next(other for other in follow if other["targets"][0][1] == after) if after else each
        raise AssertionError(f"nothing happens on {event} of {name}")

    def _value(self, number):
        props = self.parts[number]
        return self.shown.get(props["elem_id"]) if props.get("elem_id") else props.get("value")

    def _show(self, name, event, output):
        for number, value in zip(self._event(name, event)["outputs"], output.get("data", []), strict=False):
            part, changes = self.parts[number].get("elem_id"), isinstance(value, dict) and "__type__" in value
            if part and not changes:
                self.shown[part] = value
            elif part and "value" in value:
                self.shown[part] = value["value"]
