using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using KvMesh.Cluster.Storage;
using KvMesh.Protocol.Admin;
using Microsoft.Extensions.Logging;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>
/// The journal of a cluster in one process: audit and pause also in <c>placement.json</c> of a directory, so that they outlive the process. Orders do not: whoever
/// carried them out ended with it.
/// </summary>
public sealed partial class EmbeddedPlacementJournal : IPlacementJournal
{
    private readonly StateFile<Content>? _file;
    private readonly ILogger _logger;
    private readonly Lock _lock = new();
    private readonly SortedDictionary<long, OrderStatus> _orders = [];
    private readonly Queue<AuditLine> _audit;
    private bool _isPaused;
    private long _lastOrder;
    private long _token;

    /// <param name="directory">Null: nothing outlives the process.</param>
    public EmbeddedPlacementJournal(string? directory, ILoggerFactory loggers)
    {
        _logger = loggers.CreateLogger<EmbeddedPlacementJournal>();
        _file = directory is null ? null : new StateFile<Content>(directory, "placement.json", PlacementJournalJson.Default.Content);
        var content = Load();
        _isPaused = content.IsPaused;
        _audit = new Queue<AuditLine>(content.Audit.TakeLast(JournalLimits.MaxAudit).Select(line => new AuditLine(line.At, line.Actor, line.Action, line.Subject)));
    }

    public ValueTask<JournalPage?> ReadAsync(long token, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (token < _token)
            {
                return ValueTask.FromResult<JournalPage?>(null);
            }

            _token = token;
            return ValueTask.FromResult<JournalPage?>(new JournalPage([.. _audit], _isPaused, _lastOrder, [.. _orders.Values]));
        }
    }

    public ValueTask<bool> WriteAsync(long token, JournalChange change, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(change);
        Content? content = null;
        lock (_lock)
        {
            if (token < _token)
            {
                return ValueTask.FromResult(false);
            }

            Apply_NeedsLock(change);
            if (_file is not null && (change.Audit.Length > 0 || change.IsPaused is not null))
            {
                content = new Content { IsPaused = _isPaused, Audit = [.. _audit.Select(line => new AuditEntry(line.At, line.Actor, line.Action, line.Subject))] };
            }
        }

        if (content is not null)
        {
            Save(content);
        }

        return ValueTask.FromResult(true);
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private void Apply_NeedsLock(JournalChange change)
    {
        foreach (var line in change.Audit)
        {
            _audit.Enqueue(line);
            if (_audit.Count > JournalLimits.MaxAudit)
            {
                _audit.Dequeue();
            }
        }

        _isPaused = change.IsPaused ?? _isPaused;
        _lastOrder = Math.Max(_lastOrder, change.LastOrder);
        foreach (var order in change.Orders)
        {
            _orders[order.Id] = order;
        }

        foreach (var id in change.Gone)
        {
            _orders.Remove(id);
        }
    }

    private Content Load()
    {
        try
        {
            return _file?.Read() ?? new Content();
        }
        catch (Exception exception) when (exception is JsonException or IOException or UnauthorizedAccessException)
        {
            LogUnreadable(_file!.Path, exception.Message);
            return new Content();
        }
    }

    private void Save(Content content)
    {
        try
        {
            _file!.Write(content);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            LogUnwritable(_file!.Path, exception.Message);
        }
    }

    [LoggerMessage(2420, LogLevel.Warning, "{Path} cannot be read: what operators did before is not shown, and orders are not paused. {Reason}")]
    private partial void LogUnreadable(string path, string reason);

    [LoggerMessage(2421, LogLevel.Error, "{Path} cannot be written: a restart will not know what operators did. {Reason}")]
    private partial void LogUnwritable(string path, string reason);

    internal sealed class Content
    {
        public bool IsPaused { get; set; }

        public ImmutableArray<AuditEntry> Audit { get; set; } = [];
    }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(EmbeddedPlacementJournal.Content))]
internal sealed partial class PlacementJournalJson : JsonSerializerContext;
