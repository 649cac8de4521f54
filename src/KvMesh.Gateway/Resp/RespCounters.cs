using System.Diagnostics.Metrics;

namespace KvMesh.Gateway.Resp;

/// <summary>Counts of the door since it opened. Sessions add what they did in batches, never per block.</summary>
internal sealed class RespCounters
{
    private long _commands;
    private long _hits;
    private long _misses;
    private long _droppedWrites;
    private long _errors;
    private long _protocolErrors;
    private long _connections;

    public RespCounters(Meter meter)
    {
        meter.CreateObservableCounter("kvmesh.resp.commands", () => Commands, description: "Commands that were answered.");
        meter.CreateObservableCounter("kvmesh.resp.dropped_writes", () => DroppedWrites, description: "Writes answered OK and not kept: full, too large, node stopping, or not allowed.");
        meter.CreateObservableCounter("kvmesh.resp.errors", () => Errors, description: "Commands that were answered with an error.");
        meter.CreateObservableCounter("kvmesh.resp.protocol_errors", () => ProtocolErrors, description: "Connections ended because their bytes were not RESP.");
    }

    public long Commands => Volatile.Read(ref _commands);

    public long Hits => Volatile.Read(ref _hits);

    public long Misses => Volatile.Read(ref _misses);

    public long DroppedWrites => Volatile.Read(ref _droppedWrites);

    public long Errors => Volatile.Read(ref _errors);

    public long ProtocolErrors => Volatile.Read(ref _protocolErrors);

    public long Connections => Volatile.Read(ref _connections);

    public void Add(in RespBatch batch)
    {
        AddTo(ref _commands, batch.Commands);
        AddTo(ref _hits, batch.Hits);
        AddTo(ref _misses, batch.Misses);
        AddTo(ref _droppedWrites, batch.DroppedWrites);
        AddTo(ref _errors, batch.Errors);
    }

    public void AddProtocolError() => Interlocked.Increment(ref _protocolErrors);

    public void AddConnection() => Interlocked.Increment(ref _connections);

    private static void AddTo(ref long counter, int count)
    {
        if (count > 0)
        {
            Interlocked.Add(ref counter, count);
        }
    }
}

/// <summary>What one session did since its last flush.</summary>
internal struct RespBatch
{
    public int Commands;
    public int Gets;
    public int Puts;
    public int Probes;
    public int Removals;
    public int Hits;
    public int Misses;
    public int DroppedWrites;
    public int Errors;

    /// <summary>Timestamp of the first command.</summary>
    public long StartedAt;
}
