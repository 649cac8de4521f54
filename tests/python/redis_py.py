"""Uses the Redis door of a node through redis-py as LMCache and operators do. Argument: the port."""

import asyncio
import struct
import sys

import redis
import redis.asyncio

PORT = int(sys.argv[1])
CHUNK = "meta-llama/Llama-3-8B@1@0@{:x}@bfloat16"


def check(condition, what):
    if not condition:
        sys.exit("failed: " + what)


def strings():
    client = redis.Redis(port=PORT, client_name="strings")
    check(client.ping(), "ping")
    check(client.set("key", b"\x00\r\n\xff"), "set")
    check(client.get("key") == b"\x00\r\n\xff", "get")
    check(client.set("key", "other", nx=True) is None, "set nx")
    check(client.set("key", "value", ex=10_000, get=True) == b"\x00\r\n\xff", "set get")
    check(9_000 < client.ttl("key") <= 10_000, "ttl")
    check(client.persist("key") and client.ttl("key") == -1, "persist")
    check(client.mset({"a": 1, "b": 2}) and client.mget("a", "b", "c") == [b"1", b"2", None], "mset, mget")
    check(sorted(client.scan_iter("[ab]")) == [b"a", b"b"], "scan")
    check(client.exists("a", "b", "c") == 2 and client.delete("a", "b", "c") == 2, "exists, delete")
    check(client.info("replication")["role"] == "master", "info")
    check(client.config_get("appendonly") == {"appendonly": "no"}, "config get")
    check(client.client_getname() == "strings" and client.client_id() > 0, "client")
    check(any(entry["name"] == "strings" for entry in client.client_list()), "client list")
    large = bytes(range(256)) * 20_000
    check(client.set("large", large) and client.get("large") == large, "large value")
    check(client.getrange("large", 5, 9) == large[5:10] and client.strlen("large") == len(large), "getrange, strlen")
    try:
        client.execute_command("nosuch")
        check(False, "an unknown command raises")
    except redis.ResponseError as error:
        check("unknown command" in str(error), "unknown command")


def pipelines():
    client = redis.Redis(port=PORT)
    with client.pipeline(transaction=False) as pipeline:
        for index in range(500):
            pipeline.set("p%d" % index, b"x" * index)
        for index in range(500):
            pipeline.get("p%d" % index)
        replies = pipeline.execute()
    check(replies == [True] * 500 + [b"x" * index for index in range(500)], "pipeline")


async def lmcache(worker, client):
    """What LMCache's redis:// connector does with one chunk."""
    key = CHUNK.format(0xABC000 + worker)
    if not await client.exists(key + "metadata"):
        data = bytes([worker]) * (300_000 + worker)
        await client.set(key + "kv_bytes", data)
        await client.set(key + "metadata", struct.pack("iiiiiii", len(data), 1, 3, 2, 32, 256, 512))
    check(await client.exists(key + "metadata") == 1, "metadata exists")
    length = struct.unpack("iiiiiii", await client.get(key + "metadata"))[0]
    data = await client.get(key + "kv_bytes")
    check(data == bytes([worker]) * length, "chunk")


async def many():
    pool = redis.asyncio.ConnectionPool(port=PORT, max_connections=150)
    client = redis.asyncio.Redis(connection_pool=pool)
    await asyncio.gather(*(lmcache(worker % 40, client) for worker in range(120)))
    await pool.disconnect()


strings()
pipelines()
asyncio.run(many())
print("all well")
