using KvMesh.Client.Operations;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Client.Holders;

/// <summary>Announces blocks of one scope.</summary>
internal sealed class HolderAnnounceOperation(KeySelection keys, ulong removals, int[] lengths) : Operation
{
    public override Verb Verb => Verb.HolderAnnounce;

    protected override int KeyCount => keys.Count;

    /// <summary>Whether something was removed that may be among them.</summary>
    public bool IsBehind { get; private set; }

    public HolderAnnounceResponse Response { get; private set; }

    public override void WriteHead(FrameWriter writer)
    {
        HolderAnnounceRequest.Write(writer, removals, lengths);
        keys.Write(writer);
    }

    protected override void ReadFrame(in FrameHeader header, in ResponseReader reader)
    {
        if (!HolderAnnounceResponse.TryRead(reader.Head, out var response) || header.PayloadBytes != 0)
        {
            throw Nonsense($"{reader.Head.Length} bytes for an announcement");
        }

        Response = response;
        IsBehind = header.Status != NativeStatus.Ok;
    }
}

/// <summary>Takes announcements back.</summary>
internal sealed class HolderWithdrawOperation(KeySelection keys) : Operation
{
    public override Verb Verb => Verb.HolderWithdraw;

    protected override int KeyCount => keys.Count;

    public override void WriteHead(FrameWriter writer) => keys.Write(writer);

    protected override void ReadFrame(in FrameHeader header, in ResponseReader reader) => reader.Skip(header.PayloadBytes);
}

/// <summary>Waits to be asked.</summary>
internal sealed class HolderAsksOperation(HolderAsksRequest request) : Operation
{
    public override Verb Verb => Verb.HolderAsks;

    /// <summary>Whether the node does not know the holding any more.</summary>
    public bool IsGone { get; private set; }

    public ulong Removals { get; private set; }

    public IReadOnlyList<HolderAsk> Asks { get; private set; } = [];

    public override void WriteHead(FrameWriter writer) => request.WriteTo(writer);

    protected override void ReadFrame(in FrameHeader header, in ResponseReader reader)
    {
        if (header.Status != NativeStatus.Ok)
        {
            IsGone = true;
            reader.Skip(header.PayloadBytes);
            return;
        }

        if (!HolderAsk.TryReadAll(reader.Head, out var removals, out var asks) || header.PayloadBytes != 0)
        {
            throw Nonsense($"{reader.Head.Length} bytes of asks");
        }

        (Removals, Asks) = (removals, asks);
    }
}

/// <summary>Answers that a block is not there any more.</summary>
internal sealed class HolderDeclineOperation(ulong number) : Operation
{
    public override Verb Verb => Verb.HolderDecline;

    public override void WriteHead(FrameWriter writer) => writer.WriteUInt64(number);

    protected override void ReadFrame(in FrameHeader header, in ResponseReader reader) => reader.Skip(header.PayloadBytes);
}
