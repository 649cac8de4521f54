using System.Runtime.InteropServices;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Disk;
using KvMesh.Engine.Host;
using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Coding;

/// <summary>An extent that holds a block's payload encoded, and the checksums of that extent. The default value: the block is written as it lies.</summary>
/// <param name="PayloadBytes">Bytes of the encoded payload.</param>
/// <param name="ExtentBytes">Bytes of the extent that mean something.</param>
/// <param name="TableChecksum">CRC-32C over the table of the encoded payload.</param>
/// <param name="TrailerChecksum">CRC-32C over table and names.</param>
/// <param name="Codec">Kind of the codec; 0: none.</param>
/// <param name="Lossy">What it decodes to; null: the block, bit by bit.</param>
internal readonly record struct EncodedExtent(
    int PayloadBytes, int ExtentBytes, uint TableChecksum, uint TrailerChecksum, ushort Codec, LossyCopy? Lossy)
{
    public bool IsNone => Codec == 0;

    public int AllocatedBytes => (int)Extent.RoundUp(ExtentBytes);
}

/// <summary>
/// Encodes blocks from where they lie into an extent of the same form, beside the arena: to everything below, it is an extent as any other. It
/// is decoded again before it is used: what gives every bit back is compared with the block's checksums, and of what does not, its own checksums
/// are kept, so that neither a fault of a codec nor one of memory becomes a block. One thread at a time.
/// </summary>
/// <param name="budget">What encoding may take, of this encoder and of those that share it.</param>
internal sealed class PayloadEncoder(IPayloadCoder coder, CodingCounters counters, EncodeBudget budget, TimeProvider time) : IDisposable
{
    /// <summary>Where encoded bytes are first written: where a large payload begins.</summary>
    private const int WorkOffset = Limits.GranuleBytes / 2;

    private AlignedBuffer? _encoded;
    private AlignedBuffer? _decoded;
    private uint[] _table = [];

    /// <summary>Whether <see cref="Encode"/> had no time left for its last block, which could be encoded later.</summary>
    public bool WasLate { get; private set; }

    /// <summary>The extent that <see cref="Encode"/> wrote last, up to the end of its last granule.</summary>
    public ReadOnlySpan<byte> MemoryOf(in EncodedExtent extent) => _encoded!.Span[..extent.AllocatedBytes];

    /// <summary>Whether the tier takes a block as that codec wrote it elsewhere.</summary>
    public bool Accepts(Block block, ushort codec)
    {
        Span<byte> room = stackalloc byte[CodedBlock.MaxCompanionBytes];
        return coder.Accepts(CodedOf(block, room), codec);
    }

    /// <summary>Whether the policy wants the block encoded, and it can be: then that takes its time.</summary>
    public bool Wants(Block block)
    {
        Span<byte> room = stackalloc byte[CodedBlock.MaxCompanionBytes];
        return coder.Advise(CodedOf(block, room), out _) == CodingAdvice.Encode;
    }

    /// <summary>Encodes a block that the caller holds open. Its result is good until the next call.</summary>
    public EncodedExtent Encode(Block block)
    {
        Span<byte> room = stackalloc byte[CodedBlock.MaxCompanionBytes];
        var coded = CodedOf(block, room);
        WasLate = false;
        var advice = coder.Advise(coded, out var maxBytes);
        if (advice != CodingAdvice.Encode)
        {
            NoteRefusal(advice);
            return default;
        }

        WasLate = !budget.HasTime;
        if (WasLate)
        {
            counters.NoteFallback(CodingFallback.NoTime);
            return default;
        }

        var start = time.GetTimestamp();
        var begun = budget.Begin();
        var extent = EncodeAndProve(block, coded, maxBytes, out var codec);
        var elapsed = time.GetElapsedTime(start);
        budget.End(begun, helped: coder.TakeHelperTime());
        if (!extent.IsNone)
        {
            counters.NoteEncoded(codec, block.PayloadBytes, extent.PayloadBytes, elapsed);
            if (extent.Lossy is { } lossy)
            {
                counters.NoteLost(codec, lossy.Loss);
            }
        }

        return extent;
    }

    public void Dispose()
    {
        _encoded?.Dispose();
        _decoded?.Dispose();
    }

    private EncodedExtent EncodeAndProve(Block block, in CodedBlock coded, int maxBytes, out string codec)
    {
        var arena = block.Tenant.Host.Arena;
        var payload = Trailer.Payload(arena, block.Extent, block.PayloadBytes);
        var names = arena.Data(block.Extent.Offset, block.Extent.Bytes)[NamesOffset(block.PayloadBytes)..];
        var memory = Room(ref _encoded, WorkOffset + NamesOffset(maxBytes) + names.Length);
        var written = coder.Encode(coded, payload, memory[WorkOffset..]);
        codec = written.Name;
        counters.NoteOverCeiling(written.OverCeiling);
        var extentBytes = Extent.BytesFor(written.Bytes, names.Length);
        if (written.Bytes == 0 || Granules.RoundUp(extentBytes) >= block.Extent.AllocatedBytes)
        {
            counters.NoteFallback(CodingFallback.NoGain);
            return default;
        }

        if (!IsProven(block, coded, written, memory.Slice(WorkOffset, written.Bytes), out var lossy))
        {
            counters.NoteFallback(CodingFallback.Mismatch);
            return default;
        }

        return Complete(memory, written, names, extentBytes) with { Lossy = lossy };
    }

    /// <summary>
    /// Whether what was encoded decodes to the bytes that were sealed, not only to those that lie there now; or, where it may lose something, was
    /// made of the bytes that were sealed, and decodes: then what it decodes to is a content of its own.
    /// </summary>
    private bool IsProven(Block block, in CodedBlock coded, in EncodedPayload written, ReadOnlySpan<byte> encoded, out LossyCopy? lossy)
    {
        lossy = null;
        var arena = block.Tenant.Host.Arena;
        var decoded = Room(ref _decoded, block.PayloadBytes)[..block.PayloadBytes];
        var table = Trailer.Table(arena, block.Extent, block.PayloadBytes);
        if (written.Loss is null)
        {
            return PayloadProof.ComesBack(coder, encoded, decoded, table, block.TableChecksum);
        }

        return !coded.MustBeExact
            && PayloadProof.TryProveLossy(
                coder, encoded, decoded, Trailer.Payload(arena, block.Extent, block.PayloadBytes), table, block.TableChecksum, ref _table, out var checksum)
            && (checksum == block.TableChecksum || (lossy = new LossyCopy(checksum, written.Loss)) is not null);
    }

    /// <summary>Puts the payload where an extent of its length has it, and table and names behind it.</summary>
    private static EncodedExtent Complete(Span<byte> memory, in EncodedPayload written, ReadOnlySpan<byte> names, int extentBytes)
    {
        var offset = Extent.PayloadOffset(written.Bytes);
        var payload = memory.Slice(offset, written.Bytes);
        memory.Slice(WorkOffset, written.Bytes).CopyTo(payload);

        // A short one was written across the end of the only granule that it takes.
        memory = memory[..(int)Granules.RoundUp(extentBytes)];
        memory[..offset].Clear();
        memory[(offset + written.Bytes)..].Clear();
        var trailer = memory[Extent.TrailerOffset(written.Bytes)..extentBytes];
        var table = MemoryMarshal.Cast<byte, uint>(trailer[..(ChecksumTable.EntryCount(written.Bytes) * sizeof(uint))]);
        ChecksumTable.Compute(payload, table);
        names.CopyTo(trailer[(table.Length * sizeof(uint))..]);
        return new EncodedExtent(written.Bytes, extentBytes, ChecksumTable.Seal(table), Crc32C.Compute(trailer), written.Codec, null);
    }

    private static CodedBlock CodedOf(Block block, Span<byte> room) => new()
    {
        Tenant = block.Tenant.Name,
        Model = block.Scope.Model,
        Key = block.Key,
        PayloadBytes = block.PayloadBytes,
        Companion = CompanionBytes.Read(block, room),
        MustBeExact = block.Loss is not null || block.IsLosslessOnly,
    };

    private static int NamesOffset(int payloadBytes) =>
        Extent.TrailerOffset(payloadBytes) + (ChecksumTable.EntryCount(payloadBytes) * sizeof(uint));

    /// <summary>Memory that grows to the largest block that was encoded, and stays.</summary>
    private static Span<byte> Room(ref AlignedBuffer? buffer, int bytes)
    {
        if (buffer is null || buffer.Length < bytes)
        {
            buffer?.Dispose();
            buffer = new AlignedBuffer(bytes);
        }

        return buffer.Span;
    }

    private void NoteRefusal(CodingAdvice advice)
    {
        if (advice == CodingAdvice.UnknownLayout)
        {
            counters.NoteFallback(CodingFallback.UnknownLayout);
        }
        else if (advice == CodingAdvice.WrongSize)
        {
            counters.NoteFallback(CodingFallback.WrongSize);
        }
    }
}
