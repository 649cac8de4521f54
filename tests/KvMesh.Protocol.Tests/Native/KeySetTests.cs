using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Protocol.Tests.Native;

public sealed class KeySetTests
{
    [Fact]
    public void Reads_the_keys_of_a_chain_as_they_are_stored()
    {
        var head = Head(writer => writer.WriteChain(Frames.Scope.Bytes.Span, Frames.Hashes(3)));
        var reader = new HeadReader(head);
        Assert.True(KeySet.TryRead(ref reader, out var keys, out _));
        Assert.Equal(3, keys.Count);

        var buffer = new byte[Limits.MaxKeyBytes];
        var cursor = keys.GetCursor();
        for (var index = 0; index < 3; index++)
        {
            Assert.True(cursor.TryNext(buffer, out var key));
            Assert.Equal(Frames.Scope.KeyOf(Frames.Hashes(3).AsSpan(index * 32, 32)), key.ToArray());
        }

        Assert.False(cursor.TryNext(buffer, out _));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(Limits.MaxKeyBytes)]
    public void Reads_opaque_keys_of_every_length(int keyBytes)
    {
        var head = Head(writer => writer.WriteOpaque(new byte[keyBytes]));
        var reader = new HeadReader(head);
        Assert.True(KeySet.TryRead(ref reader, out var keys, out _));
        var cursor = keys.GetCursor();
        Assert.True(cursor.TryNext([], out var key));
        Assert.Equal(keyBytes, key.Length);
    }

    [Fact]
    public void Refuses_what_is_not_a_set_of_keys()
    {
        Assert.Equal(KeyFault.WrongCount, Fault(Head(writer => writer.WriteChain(Frames.Scope.Bytes.Span, []))));
        Assert.Equal(KeyFault.WrongCount, Fault(Head(writer => writer.WriteChain(Frames.Scope.Bytes.Span, new byte[(Limits.MaxBlocksPerRequest + 1) * 32]))));
        Assert.Equal(KeyFault.WrongKeyLength, Fault(Head(writer => writer.WriteOpaque([]))));
        Assert.Equal(KeyFault.WrongKeyLength, Fault(Head(writer => writer.WriteOpaque(new byte[Limits.MaxKeyBytes + 1]))));
        Assert.Equal(KeyFault.WrongScope, Fault(Head(writer => writer.WriteChain([2, 1, 65, 0], Frames.Hashes(1)))));
        Assert.Equal(KeyFault.WrongLength, Fault([.. Head(writer => writer.WriteOpaque("x"u8)), 0]));
        Assert.Equal(KeyFault.UnknownForm, Fault([3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 65]));
        Assert.Equal(KeyFault.WrongScope, Fault([2, 0, 1, 0, 1, 0, 0, 0, 9, 1, 0, 65]));
    }

    [Fact]
    public void Refuses_a_set_that_is_cut_anywhere()
    {
        byte[][] heads =
        [
            Head(writer => writer.WriteChain(Frames.Scope.Bytes.Span, Frames.Hashes(2))),
            Head(writer => writer.WriteOpaque("some key"u8)),
        ];
        foreach (var head in heads)
        {
            for (var length = 0; length < head.Length; length++)
            {
                Assert.NotEqual(KeyFault.None, Fault(head.AsSpan(0, length)));
            }
        }
    }

    private static KeyFault Fault(ReadOnlySpan<byte> head)
    {
        var reader = new HeadReader(head);
        var isRead = KeySet.TryRead(ref reader, out _, out var fault);
        Assert.Equal(isRead, fault == KeyFault.None);
        return fault;
    }

    private static byte[] Head(Action<FrameWriter> write)
    {
        var writer = new FrameWriter();
        writer.Begin(Verb.Exists, 1, FrameFlags.None);
        var before = writer.PendingBytes;
        write(writer);
        return writer.Pending[before..].ToArray();
    }
}
