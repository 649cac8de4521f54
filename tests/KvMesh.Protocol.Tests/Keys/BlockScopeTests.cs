using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Tests.Native;

namespace KvMesh.Protocol.Tests.Keys;

public sealed class BlockScopeTests
{
    [Fact]
    public void Writes_a_key_as_it_always_did()
    {
        var scope = new BlockScope("llama-3-8b", "r1", Enumerable.Range(0, 32).Select(value => (byte)value).ToArray(), 7);
        Assert.Equal(GoldenVectors.Read("key-native"), scope.KeyOf(Enumerable.Repeat((byte)0xA0, 32).ToArray()));
    }

    [Theory]
    [InlineData("m", "")]
    [InlineData("mödel/x", "rev")]
    public void Reads_back_its_names(string model, string revision)
    {
        var scope = new BlockScope(model, revision, new byte[32], 3);
        Assert.True(BlockScope.IsWellFormed(scope.Bytes.Span));
        Assert.True(BlockScope.TryParse(scope.Bytes.Span, out var readModel, out var readRevision));
        Assert.Equal((model, revision), (readModel, readRevision));
    }

    [Fact]
    public void Bytes_that_are_cut_or_too_long_are_no_scope()
    {
        var bytes = new BlockScope("model", "revision", new byte[32], 3).Bytes.ToArray();
        for (var length = 0; length < bytes.Length; length++)
        {
            Assert.False(BlockScope.TryParse(bytes.AsSpan(0, length), out _, out _));
        }

        Assert.False(BlockScope.IsWellFormed([.. bytes, 0]));
        bytes[0] = 2;
        Assert.False(BlockScope.IsWellFormed(bytes));
    }

    [Fact]
    public void Refuses_names_over_the_limit_and_layouts_of_another_length()
    {
        Assert.Contains("256", Assert.Throws<ArgumentException>(() => new BlockScope(new string('m', 256), "", new byte[32], 0)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => new BlockScope("", "", new byte[32], 0));
        Assert.Throws<ArgumentException>(() => new BlockScope("m", new string('r', 256), new byte[32], 0));
        Assert.Contains("31", Assert.Throws<ArgumentException>(() => new BlockScope("m", "", new byte[31], 0)).Message, StringComparison.Ordinal);
    }
}
