using System.ComponentModel.DataAnnotations;

namespace KvMesh.Cluster.Sequences;

/// <summary>What sequences may take. Bound from the section <c>Sequences</c>.</summary>
public sealed class SequenceOptions
{
    /// <summary>Most sequences of a tenant that are open at a time, on all nodes together.</summary>
    [Range(1, 1_000_000_000)]
    public long MaxSequences { get; set; } = 100_000;

    /// <summary>Most segments of a tenant's sequences, on all nodes together; each takes 112 bytes where sequences are kept.</summary>
    [Range(1, 1_000_000_000_000)]
    public long MaxSegments { get; set; } = 10_000_000;

    /// <summary>Most bytes that a tenant may pin, copies counted. 0: no pins.</summary>
    [Range(0, 1_000_000_000_000_000)]
    public long MaxPinnedBytes { get; set; } = 1L << 40;

    /// <summary>A sequence that names no idle limit ends after this long without a command.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "365.00:00:00")]
    public TimeSpan IdleLimit { get; set; } = TimeSpan.FromDays(1);

    /// <summary>Longest life of a sequence, and that of sequences that name none.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "365.00:00:00")]
    public TimeSpan MaxLifetime { get; set; } = TimeSpan.FromDays(30);

    /// <summary>How long a share of a quota stays with a node that is not heard of.</summary>
    [Range(typeof(TimeSpan), "00:00:05", "01:00:00")]
    public TimeSpan QuotaLease { get; set; } = TimeSpan.FromSeconds(30);

    public SequenceRules ToRules() => new() { DefaultIdleLimit = IdleLimit, MaxLifetime = MaxLifetime };

    /// <param name="node">Name of this node among those that share a store.</param>
    public SequenceHostOptions ToHostOptions(string node) => new()
    {
        Node = node,
        Rules = ToRules(),
        TenantLimit = new SequenceUsage(MaxSequences, MaxSegments, MaxPinnedBytes),
        ShareSize = new SequenceUsage(Math.Clamp(MaxSequences / 64, 1, 64), Math.Clamp(MaxSegments / 64, 1, 4096), MaxPinnedBytes / 64),
        LeaseTime = QuotaLease,
    };
}

/// <summary>What a host of sequences is told.</summary>
public sealed record SequenceHostOptions
{
    public required string Node { get; init; }

    public SequenceRules Rules { get; init; } = new();

    /// <summary>Quota of each tenant.</summary>
    public SequenceUsage TenantLimit { get; init; } = new(100_000, 10_000_000, 1L << 40);

    /// <summary>What this node likes to have at hand.</summary>
    public SequenceUsage ShareSize { get; init; } = new(64, 4096, 1L << 34);

    public TimeSpan LeaseTime { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How often the store is told what changed.</summary>
    public TimeSpan ReportInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long after its end a sequence is cleared away: reports follow the heads with a delay.</summary>
    public TimeSpan EndSlack { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Most heads kept at hand, about 1 KiB each.</summary>
    public int MaxCachedHeads { get; init; } = 16_384;
}
