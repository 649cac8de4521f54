using System.Runtime.InteropServices;
using System.Text;
using KvMesh.Cluster.Removals;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Engine.FarTiers;
using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>
/// Reads blocks: one round trip for a block of one part. What was purged is asked for in the same round trip, before the value, so that
/// a purge which was answered is never overtaken. The payload goes from the socket into the arena, and every chunk is checked while it is in the cache.
/// </summary>
internal sealed class RedisBlockReader(
    RedisServerLink link, RedisKeys keys, RecordCipher cipher, RedisRemovals removals, Removals? log, RedisTierOptions options, RedisTierMetrics metrics, TimeProvider time,
    IPayloadCoder? coder)
{
    /// <summary>With less time than this nothing is begun: it would end a connection and prove nothing about the server.</summary>
    private static readonly TimeSpan LeastTime = TimeSpan.FromMilliseconds(10);

    private long _bytesInFlight;

    public long BytesInFlight => Interlocked.Read(ref _bytesInFlight);

    public FetchOutcome Fetch(TenantKeys tenant, ReadOnlySpan<byte> key, IBlockIntake intake)
    {
        if (Limit(intake) is var limit && (limit < LeastTime || !link.TryBegin(limit, out var connection)))
        {
            return FetchOutcome.Failed;
        }

        IOException? failure = null;
        try
        {
            return Fetch(connection, tenant, key, intake);
        }
        catch (IOException exception)
        {
            failure = exception;
            return FetchOutcome.Failed;
        }
        finally
        {
            link.End(connection, failure);
        }
    }

    private FetchOutcome Fetch(RedisConnection connection, TenantKeys tenant, ReadOnlySpan<byte> key, IBlockIntake intake)
    {
        var name = BlockName.Of(tenant.Utf8, key);
        Span<byte> headKey = stackalloc byte[RedisKeys.MaxBytes];
        headKey = headKey[..keys.WriteHead(name, headKey)];
        ScopeStamps.Ask(connection, tenant.ScopesKey);
        Ask(connection, headKey);
        connection.Send();
        connection.Scopes.Read(connection);
        var valueBytes = connection.ReadValueHead(int.MaxValue);
        if (valueBytes < 0)
        {
            Interlocked.Increment(ref metrics.Misses);
            return FetchOutcome.NotHere;
        }

        // Only an answer that was read to its end leaves a connection for the next one.
        connection.IsSpoiled = true;
        var outcome = FetchValue(connection, name, headKey, valueBytes, tenant, key, intake);
        connection.IsSpoiled = outcome != FetchOutcome.Filled;
        return outcome;
    }

    private FetchOutcome FetchValue(
        RedisConnection connection, BlockName name, ReadOnlySpan<byte> headKey, int valueBytes, TenantKeys tenant, ReadOnlySpan<byte> key, IBlockIntake intake)
    {
        var prefix = connection.Scratch.AsSpan(0, RecordHead.Bytes);
        if (valueBytes < RecordHead.Bytes || valueBytes > RecordHead.MaxValueBytes)
        {
            return Discard(name, ref metrics.Malformed);
        }

        connection.Replies.Receive(prefix);
        if (!RecordHead.TryRead(prefix, out var head) || head.HeadValueBytes != valueBytes)
        {
            return Discard(name, ref metrics.Malformed);
        }

        if (!cipher.CanRead(head.KeyId))
        {
            // Somebody else may have the key: it stays.
            return Miss(ref metrics.Unreadable);
        }

        var seal = connection.Scratch.AsSpan(RecordHead.Bytes, head.IsEncrypted ? RecordHead.SealBytes : 0);
        var index = connection.Scratch.AsSpan(RecordHead.Bytes + RecordHead.SealBytes, head.IndexBytes);
        connection.Replies.Receive(seal);
        connection.Replies.Receive(index);
        if (head.IsEncrypted && !TryOpen(head, index, seal, headKey, 0, prefix))
        {
            return Discard(name, ref metrics.Unreadable);
        }

        if (!RecordNames.TryRead(index[..head.NameBytes], out var names))
        {
            return Discard(name, ref metrics.Malformed);
        }

        return Judge(connection, name, head, names, tenant, key) is { } refusal
            ? refusal
            : FetchPayload(connection, name, headKey, head, names, index[head.NameBytes..], intake);
    }

    /// <summary>Whether this block is the one, and may still be seen. Null: it is.</summary>
    private FetchOutcome? Judge(
        RedisConnection connection, BlockName name, in RecordHead head, in RecordNames names, TenantKeys tenant, ReadOnlySpan<byte> key)
    {
        if (!names.Tenant.SequenceEqual(tenant.Utf8) || !names.Key.SequenceEqual(key))
        {
            return Miss(ref metrics.Misses);
        }

        var (model, revision) = (Encoding.UTF8.GetString(names.Model), Encoding.UTF8.GetString(names.Revision));
        if (!connection.Scopes.HasBase || head.ScopeStamp != connection.Scopes.Of(model, revision) || head.Reached < (log?.LastRemoval(tenant.Name, model, revision, key) ?? 0))
        {
            Discard(name, ref metrics.Purged);
            return FetchOutcome.NotHere;
        }

        return head.ExpiresAt != 0 && head.ExpiresAt <= time.GetUtcNow().ToUnixTimeMilliseconds() ? Miss(ref metrics.Misses) : null;
    }

    private FetchOutcome FetchPayload(
        RedisConnection connection, BlockName name, ReadOnlySpan<byte> headKey, in RecordHead head, in RecordNames names, ReadOnlySpan<byte> table, IBlockIntake intake)
    {
        if (Interlocked.Add(ref _bytesInFlight, head.PayloadBytes) > options.MaxBytesInFlight && head.PayloadBytes != BytesInFlight)
        {
            Interlocked.Add(ref _bytesInFlight, -head.PayloadBytes);
            metrics.CountSaturated();
            return FetchOutcome.Failed;
        }

        try
        {
            var coded = new CodedIndex(head.PayloadBytes, head.TableChecksum);
            if (head.CodedBytes > 0 && !CodedIndex.TryRead(table, out coded))
            {
                return Discard(name, ref metrics.Malformed);
            }

            var loss = head.IsLossy ? Loss.Read(table[CodedIndex.Bytes..]) : null;
            if (head.IsLossy && loss is null)
            {
                return Discard(name, ref metrics.Malformed);
            }

            if (head.IsLossy && intake.LosslessOnly)
            {
                return FetchOutcome.Lossy;
            }

            if (!head.IsEncoded && (coded.BlockBytes != head.PayloadBytes || coded.TableChecksum != head.TableChecksum))
            {
                // It lies as it is, and is said to be another one.
                return Discard(name, ref metrics.Malformed);
            }

            table = table[head.CodedBytes..];
            var origin = new BlockOrigin
            {
                PayloadBytes = coded.BlockBytes,
                TableChecksum = coded.TableChecksum,
                ExpiresAt = head.ExpiresAt,
                Loss = loss,
                Traits = new BlockTraits
                {
                    IsContent = true,
                    LosslessOnly = (head.Flags & RecordFlags.LosslessOnly) != 0,
                    Model = Encoding.UTF8.GetString(names.Model),
                    Revision = Encoding.UTF8.GetString(names.Revision),
                    ParentKey = names.ParentKey,
                    CompanionOf = names.CompanionOf,
                },
            };
            if (head.IsEncoded)
            {
                return FetchEncoded(connection, name, headKey, head, origin, table, intake);
            }

            return intake.TryReserve(origin) ? Counted(FetchParts(connection, name, headKey, head, table, intake), head) : FetchOutcome.Failed;
        }
        finally
        {
            Interlocked.Add(ref _bytesInFlight, -head.PayloadBytes);
        }
    }

    /// <summary>Receives the parts; the next one is asked for before this one is read, so that the server is never idle.</summary>
    private FetchOutcome FetchParts(
        RedisConnection connection, BlockName name, ReadOnlySpan<byte> headKey, in RecordHead head, ReadOnlySpan<byte> table, IBlockIntake intake)
    {
        Span<byte> partKey = stackalloc byte[RedisKeys.MaxBytes];
        for (var part = 0; part < head.Parts; part++)
        {
            if (part > 0)
            {
                if (connection.ReadValueHead(int.MaxValue) is var bytes && bytes != head.PartValueBytes(part))
                {
                    // Redis evicts key by key: a block that misses a part is none.
                    return Discard(name, ref metrics.Incomplete);
                }
            }

            if (part + 1 < head.Parts)
            {
                Ask(connection, partKey[..keys.WritePart(name, part + 1, head.Generation, partKey)]);
                connection.Send();
            }

            connection.Extend(Limit(intake));
            var ownKey = part == 0 ? headKey : partKey[..keys.WritePart(name, part, head.Generation, partKey)];
            if (!TryReceivePart(connection, head, part, ownKey, table, intake, out var isUnreadable))
            {
                return Discard(name, ref (isUnreadable ? ref metrics.Unreadable : ref metrics.Mismatches));
            }

            connection.Replies.EndBulk();
        }

        if (removals.IsHidden(name))
        {
            return FetchOutcome.FalseHit;
        }

        return FetchOutcome.Filled;
    }

    /// <summary>
    /// Receives the encoded bytes beside the arena, and decodes them into it. What comes out is accepted chunk by chunk as it is, and the engine
    /// seals it only if all of it together has the checksum of the block.
    /// </summary>
    private FetchOutcome FetchEncoded(
        RedisConnection connection, BlockName name, ReadOnlySpan<byte> headKey, in RecordHead head, in BlockOrigin origin, ReadOnlySpan<byte> table,
        IBlockIntake intake)
    {
        if (coder is null)
        {
            return Miss(ref metrics.Unreadable);
        }

        if (Crc32C.Compute(table) != head.TableChecksum)
        {
            return Discard(name, ref metrics.Mismatches);
        }

        intake.Expect(origin.PayloadBytes);
        using var staged = new StagedIntake(intake, head.PayloadBytes);
        var outcome = FetchParts(connection, name, headKey, head, table, staged);
        if (outcome != FetchOutcome.Filled || !intake.TryReserve(origin))
        {
            return outcome == FetchOutcome.Filled ? FetchOutcome.Failed : outcome;
        }

        if (!coder.TryDecode(staged.Payload, intake.Payload, out _))
        {
            // Of a layout that is not known here, perhaps: others may know it, and it stays.
            return Miss(ref metrics.Unreadable);
        }

        var checksums = new uint[ChecksumTable.EntryCount(origin.PayloadBytes)];
        ChecksumTable.Compute(intake.Payload, checksums);
        if (ChecksumTable.Seal(checksums) != origin.TableChecksum || !intake.TryAccept(0, RecordHead.TableAsBytes(checksums)))
        {
            return Discard(name, ref metrics.Mismatches);
        }

        Interlocked.Increment(ref metrics.Decoded);
        return Counted(outcome, head);
    }

    private FetchOutcome Counted(FetchOutcome outcome, in RecordHead head)
    {
        if (outcome == FetchOutcome.Filled)
        {
            Interlocked.Increment(ref metrics.Hits);
            Interlocked.Add(ref metrics.HitBytes, head.PayloadBytes);
        }

        return outcome;
    }

    /// <summary>Receives one part to its place and has its chunks checked. False at the first byte that is not what was written.</summary>
    private bool TryReceivePart(
        RedisConnection connection, in RecordHead head, int part, ReadOnlySpan<byte> redisKey, ReadOnlySpan<byte> table, IBlockIntake intake, out bool isUnreadable)
    {
        isUnreadable = false;
        var payload = intake.Payload.Slice(part * RecordHead.PartBytes, head.PayloadBytesOf(part));
        var firstChunk = part * (RecordHead.PartBytes / Limits.ChecksumChunkBytes);
        var checksums = MemoryMarshal.Cast<byte, uint>(table);
        if (!head.IsEncrypted)
        {
            return TryReceiveChunks(connection, payload, firstChunk, checksums, intake);
        }

        Span<byte> seal = stackalloc byte[RecordHead.SealBytes];
        connection.Replies.Receive(seal);
        connection.Replies.Receive(payload);
        isUnreadable = !TryOpen(head, payload, seal, redisKey, part + 1, default);
        return !isUnreadable && (payload.IsEmpty || intake.TryAccept(firstChunk, ChunkTable(checksums, firstChunk, payload.Length)));
    }

    private static bool TryReceiveChunks(
        RedisConnection connection, Span<byte> payload, int firstChunk, ReadOnlySpan<uint> checksums, IBlockIntake intake)
    {
        var received = 0;
        var accepted = 0;
        while (received < payload.Length)
        {
            received += connection.Replies.ReceiveSome(payload[received..]);
            var whole = received == payload.Length ? received : received / Limits.ChecksumChunkBytes * Limits.ChecksumChunkBytes;
            if (whole > accepted)
            {
                var chunk = firstChunk + (accepted / Limits.ChecksumChunkBytes);
                if (!intake.TryAccept(chunk, ChunkTable(checksums, chunk, whole - accepted)))
                {
                    return false;
                }

                accepted = whole;
            }
        }

        return true;
    }

    private static ReadOnlySpan<byte> ChunkTable(ReadOnlySpan<uint> checksums, int firstChunk, int bytes) =>
        RecordHead.TableAsBytes(checksums.Slice(firstChunk, (bytes + Limits.ChecksumChunkBytes - 1) / Limits.ChecksumChunkBytes));

    private bool TryOpen(in RecordHead head, Span<byte> data, ReadOnlySpan<byte> seal, ReadOnlySpan<byte> redisKey, int piece, ReadOnlySpan<byte> prefix)
    {
        Span<byte> associated = stackalloc byte[16 + RedisKeys.MaxBytes + RecordHead.Bytes];
        var bytes = RecordCipher.WriteAssociated(associated, redisKey, piece, head.Generation, prefix);
        return cipher.TryOpen(head.KeyId, data, seal, associated[..bytes]);
    }

    private static void Ask(RedisConnection connection, ReadOnlySpan<byte> redisKey)
    {
        connection.Commands.Begin(2);
        connection.Commands.Add("GET"u8);
        connection.Commands.Add(redisKey);
    }

    private static FetchOutcome Miss(ref long counter)
    {
        Interlocked.Increment(ref counter);
        return FetchOutcome.NotHere;
    }

    /// <summary>What Redis has under this name is of no use to anybody: it goes.</summary>
    private FetchOutcome Discard(BlockName name, ref long counter)
    {
        Interlocked.Increment(ref counter);
        removals.Remove(name);
        return FetchOutcome.Failed;
    }

    private TimeSpan Limit(IBlockIntake intake) => intake.Remaining is var left && left < options.Deadline ? left : options.Deadline;
}
