using System.Runtime.InteropServices;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Client.Operations;

/// <summary>Sends one block, and its checksums behind it.</summary>
/// <param name="key">Its key.</param>
/// <param name="parentHash">Hash of the block before it; empty when there is none.</param>
/// <param name="payload">Its bytes.</param>
/// <param name="ask">Number of the ask that it answers; null: it is written of the caller's own accord.</param>
internal sealed class PutOperation(KeySelection key, ReadOnlyMemory<byte> parentHash, ReadOnlyMemory<byte> payload, ulong? ask = null) : Operation
{
    public override Verb Verb => Verb.Put;

    protected override bool LosslessOnly => key.LosslessOnly;

    public override long PayloadBytes => payload.Length + PutRequest.TrailerBytes(payload.Length);

    public PutStatus Status { get; private set; } = PutStatus.Failed;

    public override void WriteHead(FrameWriter writer)
    {
        new PutRequest { BlockBytes = (uint)payload.Length, ParentHash = parentHash.Span, Ask = ask }.Write(writer);
        key.Write(writer);
    }

    /// <summary>Checksums each piece and sends it while it is in the cache.</summary>
    public override void SendPayload(FrameWriter writer, IByteChannel channel)
    {
        var rest = payload.Span;
        var trailer = new uint[ChecksumTable.EntryCount(rest.Length) + 1];
        var table = trailer.AsSpan(0, trailer.Length - 1);
        var checksum = default(RunningChecksum);
        while (rest.Length > NativeLimits.PieceBytes)
        {
            var piece = rest[..NativeLimits.PieceBytes];
            checksum.Append(piece, table);
            SendPiece(writer, channel, piece, default);
            rest = rest[piece.Length..];
        }

        checksum.Append(rest, table);
        trailer[^1] = ChecksumTable.Seal(table);
        SendPiece(writer, channel, rest, MemoryMarshal.AsBytes(trailer.AsSpan()));
    }

    /// <summary>What the node's status means to a writer.</summary>
    public static PutStatus Translate(NativeStatus status) => status switch
    {
        NativeStatus.Ok => PutStatus.Stored,
        NativeStatus.AlreadyPresent => PutStatus.AlreadyPresent,
        NativeStatus.Full => PutStatus.Full,
        NativeStatus.TooLarge => PutStatus.TooLarge,
        _ => PutStatus.Failed,
    };

    protected override void ReadFrame(in FrameHeader header, in ResponseReader reader)
    {
        reader.Skip(header.PayloadBytes);
        Status = Translate(header.Status);
    }

    /// <summary>The first piece goes with the frame in front of it.</summary>
    private static void SendPiece(FrameWriter writer, IByteChannel channel, ReadOnlySpan<byte> piece, ReadOnlySpan<byte> trailer)
    {
        if (writer.PendingBytes > 0)
        {
            writer.Flush(channel, piece, trailer);
        }
        else
        {
            channel.Send(piece, trailer);
        }
    }
}
