using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Worker.Front;

/// <summary>How a worker answers callers.</summary>
public sealed record FrontOptions
{
    /// <summary>Where it listens; port 0 is any free one.</summary>
    public IPEndPoint Listen { get; init; } = new(IPAddress.Loopback, 8620);

    /// <summary>What the callers name the model.</summary>
    public required string ModelName { get; init; }

    /// <summary>Most tokens of a prompt with its answer: what the model has positions for.</summary>
    public required int MaxTokens { get; init; }

    /// <summary>Tokens that a prompt may name: 0 to one less than this.</summary>
    public required int Vocabulary { get; init; }

    /// <summary>Tokens that end an answer.</summary>
    public IReadOnlyCollection<int> EndTokens { get; init; } = [];

    /// <summary>Largest body of a request, in bytes: a million tokens as text. Default 4 MiB.</summary>
    public int MaxBodyBytes { get; init; } = 4 * 1024 * 1024;

    /// <summary>Most HTTP connections open at once; 0: no limit. Default 1024, as of a node.</summary>
    public int MaxConnections { get; init; } = 1024;

    /// <summary>What a caller is told to wait that came when too many waited. Default 1 s.</summary>
    public TimeSpan RetryAfter { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long a stop waits for answers that are being computed; then they are cut off. Default 5 s.</summary>
    public TimeSpan StopLimit { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Whether a bearer token may call; null: everybody may. Any thread calls it.</summary>
    public Func<string, bool>? Admits { get; init; }

    /// <summary>Names under which browsers may call when everybody may, beside IP addresses, localhost and the machine's name.</summary>
    public IReadOnlyCollection<string> AllowedHosts { get; init; } = [];

    /// <summary>How the worker is; asked at each probe.</summary>
    public Func<FrontHealth> Health { get; init; } = () => new FrontHealth(true, []);

    /// <summary>The page of figures in the text format of Prometheus; null: there is none.</summary>
    public Func<string>? MetricsPage { get; init; }

    /// <summary>Where the front counts; the caller disposes it behind the front.</summary>
    public required Meter Meter { get; init; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    public ILoggerFactory Logging { get; init; } = NullLoggerFactory.Instance;
}

/// <summary>How a worker is.</summary>
/// <param name="IsReady">Whether it takes requests.</param>
/// <param name="Parts">What else an operator wants to know, by name.</param>
public sealed record FrontHealth(bool IsReady, IReadOnlyList<KeyValuePair<string, string>> Parts);
