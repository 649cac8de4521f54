using KvMesh.Protocol;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Client.Operations;

/// <summary>Reads blocks, or a range of one block, into the caller's memory and verifies them.</summary>
internal sealed class GetOperation : Operation
{
    private readonly KeySelection _keys;
    private readonly GetRequest _request;
    private readonly Memory<byte> _destination;
    private readonly Memory<GetResult> _results;
    private readonly int _blockBytes;
    private readonly bool _verify;
    private readonly EncodedReads? _encoded;
    private List<int>? _undecoded;
    private int _next;

    private GetOperation(
        KeySelection keys, GetRequest request, Memory<byte> destination, Memory<GetResult> results, bool verify, EncodedReads? encoded = null)
    {
        _encoded = encoded;
        _keys = keys;
        _request = request;
        _destination = destination;
        _results = results;
        _blockBytes = (int)request.MaxBytes;
        _verify = verify;
    }

    public override Verb Verb => Verb.Get;

    protected override bool LosslessOnly => _keys.LosslessOnly;

    /// <summary>Whether bytes of some block did not match: the node should look at them.</summary>
    public bool HasMismatch { get; private set; }

    /// <summary>Places of blocks that came encoded and could not be decoded: they are to be read as they are.</summary>
    public IReadOnlyList<int> Undecoded => _undecoded ?? [];

    /// <param name="destination">Block i goes to i × <paramref name="blockBytes"/>.</param>
    /// <param name="encoded">Takes blocks that come encoded; null: none may.</param>
    public static GetOperation Whole(
        KeySelection keys, Memory<byte> destination, int blockBytes, Memory<GetResult> results, bool verify, EncodedReads? encoded = null)
    {
        var request = new GetRequest(GetMode.Whole, (uint)blockBytes, 0);
        return new GetOperation(
            keys, encoded is null ? request : request with { Flags = GetFlags.AcceptEncoded, Codecs = encoded.Kinds }, destination, results, verify, encoded);
    }

    public static GetOperation Range(KeySelection key, long offset, Memory<byte> destination, Memory<GetResult> results, bool verify) =>
        new(key, new GetRequest(GetMode.Range, (uint)destination.Length, (ulong)offset), destination, results, verify);

    protected override int KeyCount => _keys.Count;

    public override void WriteHead(FrameWriter writer)
    {
        _next = 0;
        _undecoded = null;
        _request.Write(writer);
        _keys.Write(writer);
    }

    protected override void ReadFrame(in FrameHeader header, in ResponseReader reader)
    {
        if (header.Status == NativeStatus.Encoded && _encoded is not null)
        {
            ReadEncoded(header.PayloadBytes, reader);
            return;
        }

        if (!BlockHead.TryRead(reader.Head, header.PayloadBytes, out var head) || head.Index != _next || _next >= _results.Length)
        {
            throw Nonsense($"frame {_next} of a get of {_keys.Count} blocks");
        }

        _results.Span[_next] = header.Status switch
        {
            NativeStatus.Ok => Receive(header, reader, head),
            NativeStatus.TooSmall when header.PayloadBytes == 0 => new GetResult(GetStatus.TooSmall, (int)head.BlockBytes),
            NativeStatus.Miss when header.PayloadBytes == 0 => new GetResult(GetStatus.Miss, 0),
            _ => throw Nonsense($"status {header.Status} with {header.PayloadBytes} payload bytes"),
        };
        _next++;
    }

    private void ReadEncoded(long payloadBytes, in ResponseReader reader)
    {
        if (!EncodedHead.TryRead(reader.Head, payloadBytes, out var head, out var fault))
        {
            throw Nonsense(fault!);
        }

        if (head.Index != _next || _next >= _results.Length || head.BlockBytes > _blockBytes || !_encoded!.Kinds.Contains(head.Codec))
        {
            throw Nonsense($"block {head.Index} of {head.BlockBytes} bytes in codec {head.Codec}; block {_next} of at most {_blockBytes} was due, in one of the codecs {_encoded!.Kinds.Bits:x}");
        }

        var outcome = _encoded.Receive(reader, head, _destination.Span.Slice(_next * _blockBytes, (int)head.BlockBytes), (int)payloadBytes, _verify);
        HasMismatch |= outcome == EncodedOutcome.Mismatch;
        if (outcome == EncodedOutcome.Undecoded)
        {
            (_undecoded ??= []).Add(_next);
        }

        _results.Span[_next] = outcome == EncodedOutcome.Decoded ? new GetResult(GetStatus.Hit, (int)head.BlockBytes) : new GetResult(GetStatus.Miss, 0);
        _next++;
    }

    private GetResult Receive(in FrameHeader header, in ResponseReader reader, in BlockHead head)
    {
        var payloadBytes = (int)header.PayloadBytes;
        var checker = new PayloadChecker(_verify);
        int bytes;
        if (_request.Mode == GetMode.Whole)
        {
            if (payloadBytes > _blockBytes || payloadBytes != head.BlockBytes)
            {
                throw Nonsense($"{payloadBytes} bytes of a block of {head.BlockBytes}, {_blockBytes} wanted");
            }

            checker.Receive(reader, _destination.Span.Slice(_next * _blockBytes, payloadBytes), payloadBytes);
            bytes = payloadBytes;
        }
        else
        {
            bytes = ReceiveRange(reader, ref checker, head, payloadBytes);
        }

        if (checker.Matches(head))
        {
            return new GetResult(GetStatus.Hit, bytes);
        }

        HasMismatch = true;
        return new GetResult(GetStatus.Miss, 0);
    }

    /// <summary>Puts the asked part into the destination; what the node sent around it, to whole chunks, is only checksummed.</summary>
    private int ReceiveRange(in ResponseReader reader, ref PayloadChecker checker, in BlockHead head, int payloadBytes)
    {
        if (payloadBytes == 0)
        {
            return 0;
        }

        var before = (long)_request.Offset - head.PayloadOffset;
        if (before is < 0 or >= Limits.ChecksumChunkBytes || before > payloadBytes)
        {
            throw Nonsense($"a range from {head.PayloadOffset} for one from {_request.Offset}");
        }

        var bytes = (int)Math.Min(payloadBytes - before, _destination.Length);
        var behind = payloadBytes - (int)before - bytes;
        if (behind >= Limits.ChecksumChunkBytes || bytes < Math.Min(_destination.Length, head.BlockBytes - (long)_request.Offset))
        {
            throw Nonsense($"{payloadBytes} bytes for a range of {_destination.Length}");
        }

        var scratch = new byte[Math.Max((int)before, behind)];
        checker.Receive(reader, scratch.AsSpan(0, (int)before), payloadBytes);
        checker.Receive(reader, _destination.Span[..bytes], payloadBytes);
        checker.Receive(reader, scratch.AsSpan(0, behind), payloadBytes);
        return bytes;
    }
}
