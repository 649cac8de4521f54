using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Sequences;

namespace KvMesh.TestKit.Sequences;

/// <summary>Commands as tests need them.</summary>
public static class SequenceCommands
{
    public static BlockScope Scope { get; } = new("model", "1", new byte[32], 0);

    /// <summary>A hash that stands for block <paramref name="index"/>, counted from 1; 0 is the root.</summary>
    public static BlockHash Hash(long index) => index == 0 ? BlockHash.Root : new BlockHash(TestBytes.Hash(7, (int)index));

    public static OpenSequence Open(ulong requestId = 0, string holder = "tester") => new() { Scope = Scope.Bytes, Holder = holder, RequestId = requestId };

    /// <summary>The run that follows <paramref name="after"/> blocks: 16 tokens and 1,000 bytes a block.</summary>
    public static AppendSegment Append(long epoch, long after, int blocks = 4, ulong requestId = 0) => new()
    {
        RequestId = requestId,
        Epoch = epoch,
        ParentHash = Hash(after),
        Blocks = (uint)blocks,
        Tokens = (uint)blocks * 16,
        Bytes = (ulong)blocks * 1000,
        FirstHash = Hash(after + 1),
        LastHash = Hash(after + blocks),
    };
}
