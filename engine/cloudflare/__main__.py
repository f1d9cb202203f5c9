"""The plugin's process; its one argument is the engine's address.

Prints its port on the first line of standard output, as Pulumi expects of plugins. Ends with the engine that started
it, and on SIGINT, which the engine sends when it has no more use for it, and SIGTERM.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
from pulumi.runtime.proto.provider_pb2_grpc import add_ResourceProviderServicer_to_server

from engine import lifetime
from engine.cloudflare.provider import CloudflareProvider

_CALLS_AT_A_TIME = 64
_LONGEST_MESSAGE_BYTES = 400 * 1024 * 1024  # what the engine itself allows
_GRACE_SECONDS = 10.0
_ENDING = (signal.SIGINT, signal.SIGTERM)


def main(arguments: Sequence[str]) -> None:
    engine_address = _engine_address(arguments)
    # Waited for below, not handled: a handler would come in the middle of anything, or just before the wait that it is to
    # end. Before any thread begins, so that none takes them.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    lifetime.when_engine_ends(lambda: os._exit(0))
    server = grpc.server(
        ThreadPoolExecutor(_CALLS_AT_A_TIME),
        options=[
            ("grpc.max_send_message_length", _LONGEST_MESSAGE_BYTES),
            ("grpc.max_receive_message_length", _LONGEST_MESSAGE_BYTES),
        ],
    )
    provider = CloudflareProvider(engine_address)
    add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")

    server.start()
    print(port, flush=True)

    signal.sigwait(_ENDING)
    provider.cancel()
    # What is under way may end, so that the engine learns of it; new calls are refused.
    server.stop(_GRACE_SECONDS).wait()
    # Not sys.exit: that would wait for threads that are still inside a request.
    os._exit(0)


def _engine_address(arguments: Sequence[str]) -> str:
    parser = argparse.ArgumentParser(
        prog="pulumi-resource-cloudflare", description="A stand-in for the official Cloudflare plugin of Pulumi."
    )
    parser.add_argument("engine", nargs="?", default="", help="host:port of the engine that starts the plugin")
    # The engine adds these when the CLI runs with -v, --logflow or --tracing.
    parser.add_argument("--logtostderr", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("-v", help=argparse.SUPPRESS)
    parser.add_argument("--tracing", help=argparse.SUPPRESS)
    address: str = parser.parse_args(arguments).engine
    return address


if __name__ == "__main__":
    main(sys.argv[1:])
