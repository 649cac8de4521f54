using System.Diagnostics.Metrics;
using KvMesh.Protocol.Resp;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>What the tier did, since the process started. Fields are only ever added to, with <see cref="Interlocked"/>.</summary>
internal sealed class RedisTierMetrics
{
    public long Hits;
    public long HitBytes;
    public long Misses;
    public long Purged;
    public long Mismatches;
    public long Unreadable;
    public long Malformed;
    public long Incomplete;
    public long Written;
    public long WrittenBytes;
    public long Encoded;
    public long EncodedFromBytes;
    public long EncodedToBytes;
    public long NotEncoded;

    /// <summary>Codecs that lost more than the policy allows; the next safer one was tried, at last none.</summary>
    public long OverCeiling;
    public long Decoded;
    public long Renewed;
    public long Skipped;
    public long Deferred;
    public long Removed;
    public long PurgesTold;
    public long Asked;
    public long Rounds;
    public long Saturated;
    public long FailuresLost;
    public long FailuresLate;
    public long FailuresGarbage;
    public long FailuresRefused;
    public long RefusedFull;
    public long RefusedReadOnly;
    public long RefusedOther;

    private const string Outcome = "kvmesh.outcome";
    private const string Reason = "kvmesh.reason";

    /// <summary>Publishes the figures.</summary>
    public void Publish(Meter meter, Func<bool> isUp, Func<bool> isWritable, Func<long> pendingRemovals, Func<long> bytesInFlight)
    {
        Gauge(meter, "kvmesh.redis.up", null, "1 while the server is asked; 0 while its breaker is open.", () => isUp() ? 1 : 0);
        Gauge(meter, "kvmesh.redis.writable", null, "1 while the server is given blocks; 0 while it refuses to store or is out of reach.", () => isWritable() ? 1 : 0);
        Gauge(meter, "kvmesh.redis.removals.pending", "{block}", "Removed blocks and purges that Redis has not been told of yet. They are invisible here.", pendingRemovals);
        Gauge(meter, "kvmesh.redis.in_flight", "By", "Payload bytes on their way from Redis.", bytesInFlight);
        meter.CreateObservableCounter("kvmesh.redis.reads", Reads, "{block}", "Blocks that were asked for in Redis, by outcome.");
        meter.CreateObservableCounter("kvmesh.redis.writes", Writes, "{block}", "Blocks that left RAM while there was a Redis tier, by outcome.");
        meter.CreateObservableCounter("kvmesh.redis.failures", Failures, "{operation}", "Operations that the server did not complete, by reason.");
        meter.CreateObservableCounter("kvmesh.redis.refusals", Refusals, "{operation}", "Writes that the server refused, by reason.");
        Counter(meter, "kvmesh.redis.read", "By", "Payload bytes read from Redis.", () => HitBytes);
        Counter(meter, "kvmesh.redis.written", "By", "Payload bytes written to Redis.", () => WrittenBytes);
        Counter(meter, "kvmesh.redis.encoded", "{block}", "Blocks that were written to Redis encoded.", () => Encoded);
        Counter(meter, "kvmesh.redis.encoded_from", "By", "Their bytes as they were.", () => EncodedFromBytes);
        Counter(meter, "kvmesh.redis.encoded_to", "By", "Their bytes encoded.", () => EncodedToBytes);
        Counter(meter, "kvmesh.redis.not_encoded", "{block}", "Blocks that were to be encoded for Redis and were written as they are.", () => NotEncoded);
        Counter(meter, "kvmesh.redis.over_ceiling", "{codec}", "Codecs that lost more of a block for Redis than the policy allows.", () => OverCeiling);
        Counter(meter, "kvmesh.redis.decoded", "{block}", "Blocks that were read from Redis encoded, and decoded.", () => Decoded);
        Counter(meter, "kvmesh.redis.removed", "{block}", "Blocks whose removal Redis was told.", () => Removed);
        Counter(meter, "kvmesh.redis.purges", "{purge}", "Purges that Redis was told.", () => PurgesTold);
        Counter(meter, "kvmesh.redis.presence.keys", "{key}", "Keys whose presence was asked for.", () => Asked);
        Counter(meter, "kvmesh.redis.presence.rounds", "{round}", "Round trips that asked for presence.", () => Rounds);
        Counter(meter, "kvmesh.redis.saturated", "{operation}", "Operations that found no free connection, or no room in flight, in time.", () => Saturated);
    }

    public void CountSaturated() => Interlocked.Increment(ref Saturated);

    public void CountFailure(IOException failure)
    {
        switch (failure)
        {
            case ChannelException { Fault: ChannelFault.Stalled }:
                Interlocked.Increment(ref FailuresLate);
                break;
            case RespReplyException:
                Interlocked.Increment(ref FailuresGarbage);
                break;
            case RedisRefusalException:
                Interlocked.Increment(ref FailuresRefused);
                break;
            default:
                Interlocked.Increment(ref FailuresLost);
                break;
        }
    }

    public void CountRefusal(string code)
    {
        switch (code)
        {
            case "OOM":
                Interlocked.Increment(ref RefusedFull);
                break;
            case "READONLY":
                Interlocked.Increment(ref RefusedReadOnly);
                break;
            default:
                Interlocked.Increment(ref RefusedOther);
                break;
        }
    }

    private static Measurement<long> Of(ref long field, string tag, string value) =>
        new(Interlocked.Read(ref field), new KeyValuePair<string, object?>(tag, value));

    private Measurement<long>[] Reads() =>
    [
        Of(ref Hits, Outcome, "hit"), Of(ref Misses, Outcome, "miss"), Of(ref Purged, Outcome, "purged"), Of(ref Mismatches, Outcome, "mismatch"),
        Of(ref Unreadable, Outcome, "unreadable"), Of(ref Malformed, Outcome, "malformed"), Of(ref Incomplete, Outcome, "incomplete"),
    ];

    private Measurement<long>[] Writes() =>
    [
        Of(ref Written, Outcome, "written"), Of(ref Renewed, Outcome, "renewed"), Of(ref Skipped, Outcome, "unused"), Of(ref Deferred, Outcome, "deferred"),
    ];

    private Measurement<long>[] Failures() =>
    [
        Of(ref FailuresLost, Reason, "lost"), Of(ref FailuresLate, Reason, "late"), Of(ref FailuresGarbage, Reason, "garbage"),
        Of(ref FailuresRefused, Reason, "refused"),
    ];

    private Measurement<long>[] Refusals() =>
    [
        Of(ref RefusedFull, Reason, "full"), Of(ref RefusedReadOnly, Reason, "read_only"), Of(ref RefusedOther, Reason, "other"),
    ];

    private static void Counter(Meter meter, string name, string unit, string description, Func<long> value) =>
        meter.CreateObservableCounter(name, value, unit, description);

    private static void Gauge(Meter meter, string name, string? unit, string description, Func<long> value) =>
        meter.CreateObservableGauge(name, value, unit, description);
}
