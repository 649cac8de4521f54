using KvMesh.Worker.Model.Compute;
using KvMesh.Worker.Model.Numerics;
using KvMesh.Worker.Serving;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Worker.Roles;

/// <summary>What a worker does.</summary>
public enum WorkerRole
{
    /// <summary>Generates, and computes prompts for others that ask.</summary>
    Both,

    /// <summary>Computes prompts for decode workers, and publishes them layer by layer.</summary>
    Prefill,

    /// <summary>Generates; prompts are computed by a prefill worker where there is one.</summary>
    Decode,
}

/// <summary>How a worker is put together.</summary>
public sealed record WorkerOptions
{
    /// <summary>Folder of the model, as docs/MODEL.md says.</summary>
    public required string ModelDirectory { get; init; }

    public WorkerRole Role { get; init; }

    /// <summary>Native door of the node: <c>tcp://host:port</c> or <c>unix:/path</c>. Null: no mesh, only what the worker itself has computed.</summary>
    public string? Node { get; init; }

    /// <summary>Secret for the node; null: its anonymous caller.</summary>
    public string? NodeToken { get; init; }

    /// <summary>Name of the model in the keys of blocks. Null: the name of the folder.</summary>
    public string? ModelName { get; init; }

    /// <summary>Revision of the weights in the keys of blocks. Null: a hash of the config and the weight files.</summary>
    public string? Revision { get; init; }

    /// <summary>Base addresses of prefill workers.</summary>
    public IReadOnlyList<Uri> PrefillWorkers { get; init; } = [];

    /// <summary>Secret for prefill workers; null: they let everybody in.</summary>
    public string? PrefillToken { get; init; }

    /// <summary>Tokens of a block, 1 to 512.</summary>
    public int BlockTokens { get; init; } = 16;

    /// <summary>Bytes for blocks of running requests and of earlier ones.</summary>
    public long CacheBytes { get; init; } = 1L << 30;

    /// <summary>Threads that compute, 1 to <see cref="ComputeTeam.MaxThreads"/>.</summary>
    public int Threads { get; init; } = Math.Min(Environment.ProcessorCount, ComputeTeam.MaxThreads);

    /// <summary>Most tokens of a pass.</summary>
    public int MaxPassTokens { get; init; } = 512;

    /// <summary>Most requests that have blocks.</summary>
    public int MaxRunning { get; init; } = 32;

    /// <summary>Most requests that wait for blocks.</summary>
    public int MaxWaiting { get; init; } = 256;

    /// <summary>Canonical parts of a block, a divisor of the KV heads. Workers that share blocks have the same number: the most shards that any of them has.</summary>
    public int Parts { get; init; } = 1;

    /// <summary>Writers that share the parts, each with connections of its own; a divisor of <see cref="Parts"/>.</summary>
    public int Shards { get; init; } = 1;

    /// <summary>Fewest tokens of a prompt that must be missing for a prefill worker to be asked.</summary>
    public int PrefillFrom { get; init; } = 64;

    /// <summary>Longest wait for a prefill worker's grant and for each section; then the prompt is computed here.</summary>
    public TimeSpan SectionTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Whether blocks that the mesh has are computed where that is sooner, as measured; false: all are fetched.</summary>
    public bool PlansLoads { get; init; } = true;

    /// <summary>Most bytes on their way to the node; what does not fit is not published.</summary>
    public long MaxUnpublishedBytes { get; init; } = 256L << 20;

    /// <summary>Most blocks of its memory that the worker hands over to its node at a time, 1 to 64; 0: the node is not told of them.</summary>
    public int HandOvers { get; init; } = 2;

    public TimeProvider Time { get; init; } = TimeProvider.System;

    public ILoggerFactory Logging { get; init; } = NullLoggerFactory.Instance;

    /// <exception cref="ArgumentException">A value is out of its range.</exception>
    internal void Check()
    {
        Require(BlockTokens is >= 1 and <= 512, nameof(BlockTokens), BlockTokens, "1 to 512");
        Require(Threads is >= 1 and <= ComputeTeam.MaxThreads, nameof(Threads), Threads, $"1 to {ComputeTeam.MaxThreads}");
        Require(MaxPassTokens is >= 1 and <= ForwardPass.MaxTokens, nameof(MaxPassTokens), MaxPassTokens, $"1 to {ForwardPass.MaxTokens}");
        Require(Shards is >= 1 and <= 64, nameof(Shards), Shards, "1 to 64");
        Require(MaxRunning >= 1, nameof(MaxRunning), MaxRunning, "at least 1");
        Require(MaxWaiting >= 1, nameof(MaxWaiting), MaxWaiting, "at least 1");
        Require(PrefillFrom >= 1, nameof(PrefillFrom), PrefillFrom, "at least 1");
        Require(SectionTimeout > TimeSpan.Zero, nameof(SectionTimeout), SectionTimeout, "more than 0");
        Require(MaxUnpublishedBytes >= 0, nameof(MaxUnpublishedBytes), MaxUnpublishedBytes, "at least 0");
        Require(HandOvers is >= 0 and <= 64, nameof(HandOvers), HandOvers, "0 to 64");
        Require(Role == WorkerRole.Both || Node is not null, nameof(Node), "missing", $"the door of a node for the role {Role}");
        foreach (var address in PrefillWorkers)
        {
            Require(address is { IsAbsoluteUri: true, Scheme: "http" or "https" }, nameof(PrefillWorkers), address, "an address that begins with http:// or https://");
        }

        Require(PrefillWorkers.Count == 0 || (Node is not null && Role != WorkerRole.Prefill), nameof(PrefillWorkers), PrefillWorkers.Count, "empty for a prefill worker and without a node");
    }

    internal ServingOptions Serving(int blockBytes) => new()
    {
        CapacityBlocks = (int)Math.Clamp(CacheBytes / blockBytes, 1, int.MaxValue),
        MaxPassTokens = MaxPassTokens,
        MaxRunning = MaxRunning,
        MaxWaiting = MaxWaiting,
    };

    private static void Require(bool holds, string name, object value, string allowed)
    {
        if (!holds)
        {
            throw new ArgumentException($"{name} is {value}; it must be {allowed}.", name);
        }
    }
}
