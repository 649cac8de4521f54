using KvMesh.Client.Operations;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Client.Progressive;

/// <summary>Begins a block that is published by section.</summary>
internal sealed class SectionBeginOperation(KeySelection key, ReadOnlyMemory<byte> parentHash, int blockBytes, int sectionBytes) : Operation
{
    public override Verb Verb => Verb.SectionBegin;

    public PutStatus Status { get; private set; } = PutStatus.Failed;

    /// <summary>Its number on the connection.</summary>
    public ulong Number { get; private set; }

    public override void WriteHead(FrameWriter writer)
    {
        new SectionBeginRequest { BlockBytes = (uint)blockBytes, SectionBytes = (uint)sectionBytes, ParentHash = parentHash.Span }.Write(writer);
        key.Write(writer);
    }

    /// <summary>The caller has left: the number is what the connection needs to end the write.</summary>
    protected override void TakeUnwanted(in FrameHeader header, in ResponseReader reader)
    {
        if (header.Status == NativeStatus.Ok)
        {
            ReadFrame(header, reader);
        }
        else
        {
            reader.Skip(header.PayloadBytes);
        }
    }

    protected override void ReadFrame(in FrameHeader header, in ResponseReader reader)
    {
        var head = new HeadReader(reader.Head);
        Number = header.Status == NativeStatus.Ok ? head.ReadUInt64() : 0;
        if (!head.IsComplete || header.PayloadBytes != 0)
        {
            throw Nonsense($"{reader.Head.Length} bytes for the number of a write");
        }

        Status = PutOperation.Translate(header.Status);
    }
}

/// <summary>Publishes one section.</summary>
internal sealed class SectionPublishOperation(ulong write, int section, ReadOnlyMemory<byte> bytes) : Operation
{
    public override Verb Verb => Verb.SectionPublish;

    public override long PayloadBytes => bytes.Length;

    public PutStatus Status { get; private set; } = PutStatus.Failed;

    public override void WriteHead(FrameWriter writer) => new SectionPublishRequest(write, (uint)section, Crc32C.Compute(bytes.Span)).WriteTo(writer);

    public override void SendPayload(FrameWriter writer, IByteChannel channel) => writer.Flush(channel, bytes.Span);

    protected override void ReadFrame(in FrameHeader header, in ResponseReader reader)
    {
        reader.Skip(header.PayloadBytes);
        Status = PutOperation.Translate(header.Status);
    }
}

/// <summary>Ends a write before its last section.</summary>
internal sealed class SectionAbandonOperation(ulong write) : Operation
{
    public override Verb Verb => Verb.SectionAbandon;

    public override void WriteHead(FrameWriter writer) => writer.WriteUInt64(write);

    protected override void ReadFrame(in FrameHeader header, in ResponseReader reader) => reader.Skip(header.PayloadBytes);
}

/// <summary>Asks for sections from one on, and verifies them. The caller's memory holds the whole block.</summary>
internal sealed class SectionFollowOperation(KeySelection key, SectionFollowRequest request, Memory<byte> destination, bool verify) : Operation
{
    public override Verb Verb => Verb.SectionFollow;

    public NativeStatus Answer { get; private set; }

    public int BlockBytes { get; private set; }

    /// <summary>Sections that arrived.</summary>
    public int Count { get; private set; }

    /// <summary>Of all sections so far.</summary>
    public uint Proof { get; private set; } = request.Proof;

    /// <summary>Whether received bytes were not what was published.</summary>
    public bool HasMismatch { get; private set; }

    public bool IsTooSmall { get; private set; }

    public override void WriteHead(FrameWriter writer)
    {
        request.Write(writer);
        key.Write(writer);
    }

    protected override void ReadFrame(in FrameHeader header, in ResponseReader reader)
    {
        Answer = header.Status;
        if (header.Status != NativeStatus.Ok)
        {
            reader.Skip(header.PayloadBytes);
            return;
        }

        if (!SectionFollowResponse.TryRead(reader.Head, request.SectionBytes, header.PayloadBytes, out var response) || response.First != request.Section)
        {
            throw Nonsense($"sections of a block of {response.BlockBytes} bytes from {response.First} on, {response.Count} in {header.PayloadBytes} bytes");
        }

        BlockBytes = (int)response.BlockBytes;
        if (BlockBytes > destination.Length)
        {
            IsTooSmall = true;
            reader.Skip(header.PayloadBytes);
            return;
        }

        Receive(response, reader);
    }

    private void Receive(in SectionFollowResponse response, in ResponseReader reader)
    {
        for (var index = 0; index < response.Count; index++)
        {
            var start = (request.Section + (long)index) * request.SectionBytes;
            var rest = destination.Span[(int)start..(int)Math.Min(start + request.SectionBytes, BlockBytes)];
            var checksum = 0u;
            while (!rest.IsEmpty)
            {
                var received = reader.ReceiveSome(rest[..Math.Min(rest.Length, NativeLimits.PieceBytes)]);
                checksum = verify ? Crc32C.Append(checksum, rest[..received]) : 0;
                rest = rest[received..];
            }

            var published = BitConverter.ToUInt32(response.Checksums.Slice(index * sizeof(uint), sizeof(uint)));
            HasMismatch |= verify && checksum != published;
            Proof = SectionProof.Append(Proof, published);
            Count += HasMismatch ? 0 : 1;
        }
    }
}
