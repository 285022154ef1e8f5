"""Makes random calls with Python's grpcio and checks each response to the last byte.

The argument is JSON: targets (host, port and the file of a certificate authority, or null for plaintext), token, calls,
workers, seed, and kinds of calls to leave out. Prints JSON: calls by kind, failures by status, and what was wrong.
"""

import collections
import json
import random
import sys
import threading
import time

import grpc

JOB = json.loads(sys.argv[1])
LARGE = 8 * 1024 * 1024
OPTIONS = (("grpc.max_send_message_length", LARGE), ("grpc.max_receive_message_length", LARGE))
#: What may happen to a call that a fault has hit: INTERNAL and UNAVAILABLE.
BROKEN = (13, 14)
LONG_SECONDS = 120

kinds, failures, wrong = collections.Counter(), collections.Counter(), []
lock = threading.Lock()
left = JOB["calls"]


def open_channel(target):
    if target["ca"] is None:
        return grpc.insecure_channel(target["address"], options=OPTIONS)
    with open(target["ca"], "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    return grpc.secure_channel(target["address"], credentials, options=OPTIONS)


class Caller:
    def __init__(self, channel, seed):
        self.random = random.Random(seed)
        path = "/test.Echo/"
        self.unary = channel.unary_unary(path + "unary")
        self.up = channel.stream_unary(path + "up")
        self.down = channel.unary_stream(path + "down")
        self.both = channel.stream_stream(path + "both")
        self.fails = channel.unary_unary(path + "fails")
        self.never = channel.unary_unary(path + "never")

    def metadata(self, *more):
        return (("authorization", "Bearer " + JOB["token"]), *more)

    def payload(self, most=2_000):
        # Its own for each call: another call's response cannot pass for this one's.
        return self.random.randbytes(8 + self.random.randrange(most))

    def parts(self):
        return [self.payload(1_000) for _ in range(1 + self.random.randrange(20))]

    def call_unary(self, compression=None, most=2_000):
        sent, tag = self.payload(most), self.payload(20)
        received, call = self.unary.with_call(
            sent,
            metadata=self.metadata(("x-echo-bin", tag)),
            compression=compression,
            timeout=LONG_SECONDS,
        )
        trailers = dict(call.trailing_metadata())
        if dict(call.initial_metadata()).get("x-initial") != "i":
            return "initial metadata"
        if trailers.get("x-trailer-bin") != b"\x00\x01\xff" or trailers.get("x-echo-bin") != tag:
            return "trailing metadata"
        return received == sent

    def call_gzip(self):
        return self.call_unary(grpc.Compression.Gzip)

    def call_large(self):
        return self.call_unary(None, 1_000_000)

    def call_up(self):
        parts = self.parts()
        return self.up(iter(parts), metadata=self.metadata(), timeout=LONG_SECONDS) == b"".join(parts)

    def call_down(self):
        sent = self.payload(100)
        return b"".join(self.down(sent, metadata=self.metadata(), timeout=LONG_SECONDS)) == sent

    def call_both(self):
        parts = self.parts()
        received = []
        try:
            for part in self.both(iter(parts), metadata=self.metadata(), timeout=LONG_SECONDS):
                received.append(part)
        except grpc.RpcError:
            if received != parts[: len(received)]:
                return "a part of another call"
            raise
        return received == parts

    def expects(self, status, call):
        try:
            call()
        except grpc.RpcError as error:
            if error.code().value[0] == status:
                return True
            raise
        return "no error"

    def call_fails(self):
        try:
            self.fails(b"x", metadata=self.metadata(), timeout=LONG_SECONDS)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise
            return dict(error.trailing_metadata()).get("x-why") == "because" and error.details() == "not now"
        return "no error"

    def call_deadline(self):
        return self.expects(4, lambda: self.never(b"x", metadata=self.metadata(), timeout=0.2))

    def call_refused(self):
        return self.expects(16, lambda: self.unary(b"x", metadata=(), timeout=LONG_SECONDS))

    def call_cancelled(self):
        more = threading.Event()

        def parts():
            yield b"first"
            more.wait(LONG_SECONDS)

        call = self.both(parts(), metadata=self.metadata(), timeout=LONG_SECONDS)

        def read():
            for part in call:
                if part != b"first":
                    raise AssertionError(part)
                call.cancel()

        try:
            return self.expects(1, read)
        finally:
            more.set()


CALLS = [name for name in dir(Caller) if name.startswith("call_") and name not in JOB["without"]]


def work(index):
    global left
    target = JOB["targets"][index % len(JOB["targets"])]
    caller = Caller(open_channel(target), JOB["seed"] + index)
    while True:
        with lock:
            if left == 0:
                return
            left -= 1
        kind = caller.random.choice(CALLS)
        try:
            outcome = getattr(caller, kind)()
            status = 0
        except grpc.RpcError as error:
            outcome, status = True, error.code().value[0]
            if status not in BROKEN:
                outcome = f"status {status}: {error.details()}"
        except Exception as error:  # An assertion, or a fault of this program: both are wrong.
            outcome, status = repr(error), 0
        with lock:
            kinds[kind] += 1
            if status in BROKEN:
                failures[f"{kind} {status} {error_text(status)}"] += 1
            if outcome is not True:
                wrong.append(f"{kind}: {outcome}")
        if status in BROKEN:
            time.sleep(0.01)


def error_text(status):
    return {13: "INTERNAL", 14: "UNAVAILABLE"}[status]


threads = [threading.Thread(target=work, args=(index,)) for index in range(JOB["workers"])]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps({"kinds": kinds, "failures": failures, "wrong": wrong}))
