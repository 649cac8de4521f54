using KvMesh.Engine.Coding;
using KvMesh.Engine.FarTiers;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>A payload as it goes to Redis.</summary>
internal readonly ref struct StoredPayload
{
    public ReadOnlySpan<byte> Payload { get; init; }

    /// <summary>One CRC-32C per chunk of what is stored.</summary>
    public ReadOnlySpan<uint> Checksums { get; init; }

    public uint TableChecksum { get; init; }

    /// <summary>Kind of the codec; 0: as it is.</summary>
    public byte Codec { get; init; }

    /// <summary>CRC-32C over the table of what it decodes to.</summary>
    public uint BlockTableChecksum { get; init; }

    /// <summary>What that has lost; null: nothing.</summary>
    public Loss? Loss { get; init; }
}

/// <summary>
/// Encodes blocks on their way to Redis, where the policy wants that and the processor's share lasts, and proves each by decoding it. One thread at
/// a time.
/// </summary>
internal sealed class RedisPayloadEncoder(IPayloadCoder coder, double share, RedisTierMetrics metrics, TimeProvider time)
{
    private readonly EncodeBudget _budget = new(share, time);
    private byte[] _encoded = [];
    private byte[] _decoded = [];
    private uint[] _table = [];
    private uint[] _decodedTable = [];

    /// <summary>What is to be stored of a block: good until the next call.</summary>
    public StoredPayload Encode(in LeavingBlock block)
    {
        var raw = AsItIs(block);
        Span<byte> room = stackalloc byte[CodedBlock.MaxCompanionBytes];
        var coded = new CodedBlock
        {
            Tenant = block.Tenant.Name,
            Model = block.Origin.Traits.Model ?? "",
            Key = block.Key,
            PayloadBytes = block.Payload.Length,
            MustBeExact = block.Origin.Loss is not null || block.Origin.Traits.LosslessOnly,
            Companion = block.ReadCompanion(room),
        };
        var advice = coder.Advise(coded, out var maxBytes);
        if (advice != CodingAdvice.Encode)
        {
            Interlocked.Add(ref metrics.NotEncoded, advice == CodingAdvice.Raw ? 0 : 1);
            return raw;
        }

        if (!_budget.HasTime)
        {
            Interlocked.Increment(ref metrics.NotEncoded);
            return raw;
        }

        var begun = _budget.Begin();
        Grow(ref _encoded, maxBytes);
        Grow(ref _decoded, block.Payload.Length);
        var written = coder.Encode(coded, block.Payload, _encoded);
        var tableChecksum = block.Origin.TableChecksum;
        Interlocked.Add(ref metrics.OverCeiling, written.OverCeiling);
        var isKept = written.Bytes > 0 && written.Bytes < block.Payload.Length && written.Codec is > 0 and <= byte.MaxValue
            && IsProven(block, coded, written, out tableChecksum);
        _budget.End(begun, helped: coder.TakeHelperTime());
        if (!isKept)
        {
            Interlocked.Increment(ref metrics.NotEncoded);
            return raw;
        }

        Interlocked.Increment(ref metrics.Encoded);
        Interlocked.Add(ref metrics.EncodedFromBytes, block.Payload.Length);
        Interlocked.Add(ref metrics.EncodedToBytes, written.Bytes);
        return Stored(block, written, tableChecksum);
    }

    /// <summary>Whether an encoding gives back what was sealed, or loses what it says of that and decodes; and the checksums of what it decodes to.</summary>
    private bool IsProven(in LeavingBlock block, in CodedBlock coded, in EncodedPayload written, out uint tableChecksum)
    {
        tableChecksum = block.Origin.TableChecksum;
        var encoded = _encoded.AsSpan(0, written.Bytes);
        var decoded = _decoded.AsSpan(0, block.Payload.Length);
        return written.Loss is null
            ? PayloadProof.ComesBack(coder, encoded, decoded, block.Checksums, tableChecksum)
            : !coded.MustBeExact
                && PayloadProof.TryProveLossy(
                    coder, encoded, decoded, block.Payload, block.Checksums, block.Origin.TableChecksum, ref _decodedTable, out tableChecksum);
    }

    public static StoredPayload AsItIs(in LeavingBlock block) =>
        new()
        {
            Payload = block.Payload,
            Checksums = block.Checksums,
            TableChecksum = block.Origin.TableChecksum,
            BlockTableChecksum = block.Origin.TableChecksum,
            Loss = block.Origin.Loss,
        };

    private StoredPayload Stored(in LeavingBlock block, EncodedPayload written, uint tableChecksum)
    {
        var entries = ChecksumTable.EntryCount(written.Bytes);
        if (_table.Length < entries)
        {
            _table = new uint[entries];
        }

        var payload = _encoded.AsSpan(0, written.Bytes);
        var table = _table.AsSpan(0, entries);
        ChecksumTable.Compute(payload, table);
        return new StoredPayload
        {
            Payload = payload,
            Checksums = table,
            TableChecksum = ChecksumTable.Seal(table),
            Codec = (byte)written.Codec,
            BlockTableChecksum = tableChecksum,
            Loss = tableChecksum == block.Origin.TableChecksum ? block.Origin.Loss : written.Loss,
        };
    }

    private static void Grow(ref byte[] buffer, int bytes)
    {
        if (buffer.Length < bytes)
        {
            buffer = GC.AllocateUninitializedArray<byte>(bytes);
        }
    }
}
