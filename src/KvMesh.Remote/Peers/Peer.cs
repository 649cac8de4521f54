using System.Collections.Concurrent;
using System.Net;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Sockets;
using KvMesh.Remote.Resilience;

namespace KvMesh.Remote.Peers;

/// <summary>One run of another node, as this one sees it: its connections, its breaker, how fast it answers.</summary>
internal sealed class Peer : IDisposable
{
    /// <summary>Reads in a row in which another holder was faster, without a word from this one, that make it a failing one.</summary>
    private const int MaxLosses = 5;

    /// <summary>How long a node is not asked for a tenant that it refused.</summary>
    private static readonly TimeSpan RefusalPause = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<string, long> _refused = new();
    private int _losses;
    private long _hits;
    private long _hitBytes;
    private long _misses;
    private long _failures;
    private long _hedges;

    public Peer(NodeRecord record, EndPoint endpoint, PeerContext context)
    {
        Record = record;
        Breaker = new Breaker(context.Options.Breaker, context.Time);
        Pool = new PeerPool(record, endpoint, context);
    }

    public NodeRecord Record { get; }

    public Breaker Breaker { get; }

    public PeerPool Pool { get; }

    /// <summary>From request to the head of the answer.</summary>
    public LatencyWindow FirstAnswers { get; } = new();

    /// <summary>From request to the last byte.</summary>
    public LatencyWindow Reads { get; } = new();

    public bool IsUsable => Breaker.IsClosed && Record.State != NodeState.Leaving;

    /// <summary>It answers, but not this node for this tenant. True when that is news.</summary>
    public bool Refuse(string tenant, TimeProvider time) => _refused.TryAdd(tenant, time.GetTimestamp());

    /// <summary>Whether it may be asked for a tenant: one that it refused is tried again after a while.</summary>
    public bool Admits(string tenant, TimeProvider time)
    {
        if (_refused.IsEmpty || !_refused.TryGetValue(tenant, out var at))
        {
            return true;
        }

        if (time.GetElapsedTime(at) < RefusalPause)
        {
            return false;
        }

        _refused.TryRemove(tenant, out _);
        return true;
    }

    /// <summary>It answered, whatever it said.</summary>
    public void Answered()
    {
        Volatile.Write(ref _losses, 0);
        Breaker.Succeeded();
    }

    /// <summary>It was lost, or silent until the deadline.</summary>
    public void Failed()
    {
        Interlocked.Increment(ref _failures);
        Breaker.Failed();
    }

    /// <summary>Another holder was faster before this one said a word.</summary>
    public void Lost()
    {
        if (Interlocked.Increment(ref _losses) >= MaxLosses)
        {
            Failed();
        }
    }

    public void CountHit(long bytes)
    {
        Interlocked.Increment(ref _hits);
        Interlocked.Add(ref _hitBytes, bytes);
    }

    public void CountMiss() => Interlocked.Increment(ref _misses);

    public void CountHedge() => Interlocked.Increment(ref _hedges);

    public PeerSnapshot Snapshot() => new(
        Record.Id.Value, Record.NativeAddress, Breaker.IsClosed, Breaker.Opened, Pool.Opened, Pool.Busy, _hits, _hitBytes, _misses, _failures, _hedges,
        FirstAnswers.P95(0)?.TotalMilliseconds);

    public void Dispose() => Pool.Dispose();

    /// <summary>The endpoint of a node's record; null when it has none that can be read.</summary>
    public static EndPoint? EndpointOf(NodeRecord record)
    {
        try
        {
            return record.NativeAddress.Length == 0 ? null : StreamEndpoint.Parse(record.NativeAddress);
        }
        catch (FormatException)
        {
            return null;
        }
    }
}

/// <summary>What this node knows of another as a source of blocks. Counts grow from the start of the process.</summary>
/// <param name="IsClosed">Whether it is asked; false while its breaker is open.</param>
/// <param name="Opened">How often its breaker opened.</param>
/// <param name="Connections">Connections to it, idle ones included.</param>
/// <param name="Hits">Blocks, or parts of one, that came from it.</param>
/// <param name="Hedges">Reads in which it was asked because another holder was slow.</param>
/// <param name="FirstAnswerMilliseconds">95th percentile of the time to the head of an answer; null while unknown.</param>
public sealed record PeerSnapshot(
    string Node, string Address, bool IsClosed, long Opened, int Connections, int Busy, long Hits, long HitBytes, long Misses, long Failures,
    long Hedges, double? FirstAnswerMilliseconds);
