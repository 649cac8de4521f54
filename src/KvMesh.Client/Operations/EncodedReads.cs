using System.Buffers;
using KvMesh.Protocol.Coding;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Client.Operations;

/// <summary>What became of a block that came encoded.</summary>
internal enum EncodedOutcome
{
    Decoded,

    /// <summary>The bytes are what the node sent, and do not become the block here.</summary>
    Undecoded,

    /// <summary>The bytes are not those that a codec wrote.</summary>
    Mismatch,
}

/// <summary>
/// Takes blocks that come encoded: receives them beside the caller's memory, compares them with their checksums, decodes them into it, and compares
/// what came out with the block's. Any thread; the one that receives does the decoding.
/// </summary>
internal sealed class EncodedReads(IPayloadDecoder decoder)
{
    private long _blocks;
    private long _receivedBytes;
    private long _blockBytes;
    private long _undecoded;
    private long _mismatches;

    public CodecKinds Kinds { get; } = decoder.Kinds;

    /// <summary>Takes the payload behind a head to its last byte.</summary>
    /// <param name="reader">The frame.</param>
    /// <param name="head">Its head.</param>
    /// <param name="block">Exactly the bytes of the block; it may hold anything unless it was decoded.</param>
    /// <param name="payloadBytes">Bytes of the payload.</param>
    /// <param name="verify">Whether checksums are compared.</param>
    public EncodedOutcome Receive(in ResponseReader reader, in EncodedHead head, Span<byte> block, int payloadBytes, bool verify)
    {
        var rented = ArrayPool<byte>.Shared.Rent(payloadBytes);
        try
        {
            var encoded = rented.AsSpan(0, payloadBytes);
            var checker = new PayloadChecker(verify);
            checker.Receive(reader, encoded, payloadBytes);
            if (!checker.Matches(head))
            {
                Interlocked.Increment(ref _mismatches);
                return EncodedOutcome.Mismatch;
            }

            if (!decoder.TryDecode(head.Codec, encoded, block) || (verify && TableChecksumOf(block) != head.BlockTableChecksum))
            {
                Interlocked.Increment(ref _undecoded);
                return EncodedOutcome.Undecoded;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }

        Interlocked.Increment(ref _blocks);
        Interlocked.Add(ref _receivedBytes, payloadBytes);
        Interlocked.Add(ref _blockBytes, block.Length);
        return EncodedOutcome.Decoded;
    }

    public EncodedFigures ToFigures() => new(
        Interlocked.Read(ref _blocks), Interlocked.Read(ref _receivedBytes), Interlocked.Read(ref _blockBytes), Interlocked.Read(ref _undecoded),
        Interlocked.Read(ref _mismatches));

    private static uint TableChecksumOf(ReadOnlySpan<byte> block)
    {
        var table = new uint[ChecksumTable.EntryCount(block.Length)];
        ChecksumTable.Compute(block, table);
        return ChecksumTable.Seal(table);
    }
}
