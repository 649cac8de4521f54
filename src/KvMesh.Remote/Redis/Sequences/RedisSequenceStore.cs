using System.Buffers.Binary;
using System.Globalization;
using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Sequences;
using StackExchange.Redis;

namespace KvMesh.Remote.Redis.Sequences;

/// <summary>
/// Sequences of all nodes, in Redis: heads and rows as strings under one hash tag a sequence, one script a step, and the books of each
/// tenant beside them. What Redis acknowledged it keeps as it keeps anything; sequences end by the time to live of their keys.
/// </summary>
/// <param name="redis">Owned by the caller.</param>
public sealed class RedisSequenceStore(RedisSequenceConnection redis, RedisSequenceStoreOptions options, TimeProvider time) : ISequenceStore, IDisposable
{
    private readonly RedisSequenceKeys _keys = new(options.KeyPrefix);
    private readonly RedisCalls _calls = new(redis, options, time);

    public async ValueTask<StoredHead> ReadAsync(SequenceId id, CancellationToken cancellationToken)
    {
        var (value, failure) = await _calls.AskAsync(static (database, key) => database.StringGetAsync(key), _keys.Head(id), cancellationToken).ConfigureAwait(false);
        return failure.Length > 0 ? new StoredHead(StoreStatus.Unavailable, null, failure) : Understand(StoreStatus.Ok, (byte[]?)value);
    }

    public async ValueTask<StoredHead> WriteAsync(SequenceId id, SequenceWrite write, CancellationToken cancellationToken)
    {
        var head = write.Head;
        RedisKey[] keys = [_keys.Head(id), _keys.Rows(id, head.RowsId)];
        RedisValue[] values =
        [
            Expected(write),
            SequenceHeadFormat.Write(head),
            Math.Max(1, write.KeepUntil - write.Now),
            (long)write.FirstNewRow * SegmentRow.EncodedBytes,
            SegmentRow.WriteAll(write.NewRows.Span),
            head.HasDroppedRows ? 1 : 0,
        ];
        var (result, failure) = await RunAsync(SequenceScripts.Write, keys, values, cancellationToken).ConfigureAwait(false);
        if (result is null)
        {
            return new StoredHead(StoreStatus.Unavailable, null, failure);
        }

        // The script gives a number when it wrote, and a head or nothing when it did not.
        var bytes = result.IsNull ? null : (byte[]?)result;
        return bytes is [(byte)'1'] ? new StoredHead(StoreStatus.Ok, head) : Understand(StoreStatus.Conflict, bytes);
    }

    public async ValueTask<StoredRows> ReadRowsAsync(SequenceId id, ulong rowsId, int first, int count, CancellationToken cancellationToken)
    {
        var from = (long)first * SegmentRow.EncodedBytes;
        var (value, failure) = await _calls.AskAsync(
            static (database, asked) => database.StringGetRangeAsync(asked.Key, asked.From, asked.To),
            (Key: _keys.Rows(id, rowsId), From: from, To: from + ((long)count * SegmentRow.EncodedBytes) - 1),
            cancellationToken).ConfigureAwait(false);
        return failure.Length > 0 ? new StoredRows(StoreStatus.Unavailable, first, default, failure) : Understand(first, (byte[]?)value);
    }

    public async ValueTask<StoredRows> FindRowAsync(SequenceId id, ulong rowsId, int rows, long block, CancellationToken cancellationToken)
    {
        var (result, failure) = await RunAsync(
            SequenceScripts.Find, [_keys.Rows(id, rowsId)], [rows, block, SegmentRow.EncodedBytes], cancellationToken).ConfigureAwait(false);
        if (result is null)
        {
            return new StoredRows(StoreStatus.Unavailable, 0, default, failure);
        }

        if (result.IsNull)
        {
            return new StoredRows(StoreStatus.Ok, 0, default);
        }

        var parts = (RedisValue[]?)result;
        return Understand((int)parts![0], (byte[]?)parts[1]);
    }

    public async ValueTask<StoredNames> ListAsync(string tenant, string after, int count, CancellationToken cancellationToken)
    {
        var (names, failure) = await _calls.AskAsync(
            static (database, asked) => database.SortedSetRangeByValueAsync(
                asked.Key, asked.After.Length == 0 ? default : (RedisValue)asked.After, default, Exclude.Start, skip: 0, take: asked.Count, flags: CommandFlags.None),
            (Key: _keys.Names(tenant), After: after, Count: (long)count),
            cancellationToken).ConfigureAwait(false);
        return Understand(names, failure);
    }

    public async ValueTask<StoredNames> ListTenantsAsync(CancellationToken cancellationToken)
    {
        var (names, failure) = await _calls.AskAsync(static (database, key) => database.SetMembersAsync(key), _keys.Tenants, cancellationToken).ConfigureAwait(false);
        return Understand(names, failure);
    }

    public async ValueTask<TenantShare> ReportAsync(TenantReport report, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(report);

        // Beside the report and not before it: one round trip.
        var naming = report.Entries.Count == 0
            ? default
            : _calls.AskAsync(static (database, asked) => database.SetAddAsync(asked.Key, asked.Tenant), (Key: _keys.Tenants, report.Tenant), cancellationToken);
        var (result, failure) = await RunAsync(SequenceScripts.Report, _keys.Books(report.Tenant), Arguments(report), cancellationToken).ConfigureAwait(false);
        await naming.ConfigureAwait(false);
        return result is null || result.IsNull
            ? new TenantShare(StoreStatus.Unavailable, default, default, [], failure)
            : Understand((RedisValue[])result!);
    }

    public void Dispose() => _calls.Dispose();

    /// <summary>Stamp and version as they stand in the head that is expected; nothing for none.</summary>
    private static byte[] Expected(in SequenceWrite write)
    {
        if (write.ExpectedVersion == 0)
        {
            return [];
        }

        Span<byte> bytes = stackalloc byte[sizeof(int) + sizeof(long)];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, write.ExpectedStamp);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[SequenceHeadFormat.StampBytes..], write.ExpectedVersion);
        return bytes[..(SequenceHeadFormat.StampBytes + sizeof(long))].ToArray();
    }

    private static RedisValue[] Arguments(TenantReport report)
    {
        var values = new List<RedisValue>(14 + (report.Entries.Count * 8))
        {
            report.Now, report.Node, (long)report.LeaseTime.TotalMilliseconds,
            report.Limit.Sequences, report.Limit.Segments, report.Limit.PinnedBytes,
            report.Need.Sequences, report.Need.Segments, report.Need.PinnedBytes,
            report.Want.Sequences, report.Want.Segments, report.Want.PinnedBytes,
            TenantReport.MaxEnded, report.Entries.Count,
        };
        foreach (var entry in report.Entries)
        {
            values.AddRange(
            [
                entry.Name, entry.Version, entry.Usage.Sequences, entry.Usage.Segments, entry.Usage.PinnedBytes, entry.EndsAt,
                entry.Origin.RowsId.ToString("x16", CultureInfo.InvariantCulture), entry.Origin.Name,
            ]);
        }

        return [.. values];
    }

    private static TenantShare Understand(RedisValue[] parts)
    {
        var ended = new List<SequenceEntry>();
        for (var at = 7; at + 1 < parts.Length; at += 2)
        {
            var fields = ((string)parts[at + 1]!).Split('|');
            var origin = SequenceOrigin.None with { Name = fields[6], RowsId = ulong.Parse(fields[5], NumberStyles.HexNumber, CultureInfo.InvariantCulture) };
            ended.Add(new SequenceEntry((string)parts[at]!, Number(fields[0]), new SequenceUsage(Number(fields[1]), Number(fields[2]), Number(fields[3])), Number(fields[4]), origin));
        }

        return new TenantShare(
            StoreStatus.Ok,
            new SequenceUsage(Number(parts[0]!), Number(parts[1]!), Number(parts[2]!)),
            new SequenceUsage(Number(parts[3]!), Number(parts[4]!), Number(parts[5]!)),
            ended,
            StoreTime: Number(parts[6]!));

        static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);
    }

    private static StoredHead Understand(StoreStatus status, byte[]? bytes) => bytes switch
    {
        null or [] => new StoredHead(status, null),
        _ when SequenceHeadFormat.TryRead(bytes) is { } head => new StoredHead(status, head),
        _ => new StoredHead(StoreStatus.Unavailable, null, $"The stored head of {bytes.Length} bytes is of a format that this version of the program does not know."),
    };

    private static StoredRows Understand(int first, byte[]? bytes) => SegmentRow.TryReadAll(bytes, out var rows)
        ? new StoredRows(StoreStatus.Ok, first, rows)
        : new StoredRows(StoreStatus.Unavailable, first, default, $"Rows from {first} on are damaged: {bytes?.Length} bytes.");

    private static StoredNames Understand(RedisValue[]? names, string failure) => names is null
        ? new StoredNames(StoreStatus.Unavailable, [], failure)
        : new StoredNames(StoreStatus.Ok, [.. names.Select(name => (string)name!)]);

    private ValueTask<(RedisResult? Value, string Failure)> RunAsync(string script, RedisKey[] keys, RedisValue[] values, CancellationToken cancellationToken) =>
        _calls.AskAsync(
            static (database, asked) => database.ScriptEvaluateAsync(asked.Script, asked.Keys, asked.Values), (Script: script, Keys: keys, Values: values), cancellationToken);
}
