"""A gRPC server of Python's grpcio with every type of call. Messages are bytes as they are.

Arguments: port, and after how many milliseconds a connection is told to go (GOAWAY); 0 for never.
"""

import sys
import threading
from concurrent import futures

import grpc

PORT, MAX_AGE_MS = int(sys.argv[1]), int(sys.argv[2])
LARGE = 8 * 1024 * 1024


def unary(request, context):
    context.send_initial_metadata((("x-initial", "i"),))
    trailers = [("x-trailer-bin", b"\x00\x01\xff")]
    trailers += [(name, value) for name, value in context.invocation_metadata() if name == "x-echo-bin"]
    context.set_trailing_metadata(trailers)
    return request


def up(requests, context):
    return b"".join(requests)


def down(request, context):
    for byte in request:
        yield bytes([byte])


def both(requests, context):
    yield from requests


def fails(request, context):
    context.set_trailing_metadata((("x-why", "because"),))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now")


def never(request, context):
    over = threading.Event()
    context.add_callback(over.set)
    over.wait()
    return b""


METHODS = {
    "unary": grpc.unary_unary_rpc_method_handler(unary),
    "up": grpc.stream_unary_rpc_method_handler(up),
    "down": grpc.unary_stream_rpc_method_handler(down),
    "both": grpc.stream_stream_rpc_method_handler(both),
    "fails": grpc.unary_unary_rpc_method_handler(fails),
    "never": grpc.unary_unary_rpc_method_handler(never),
}

options = [
    ("grpc.max_send_message_length", LARGE),
    ("grpc.max_receive_message_length", LARGE),
]
if MAX_AGE_MS > 0:
    options += [("grpc.max_connection_age_ms", MAX_AGE_MS), ("grpc.max_connection_age_grace_ms", 5_000)]
server = grpc.server(futures.ThreadPoolExecutor(max_workers=64), options=options)
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", METHODS),))
server.add_insecure_port(f"127.0.0.1:{PORT}")
server.start()
print("ready", flush=True)
server.wait_for_termination()
