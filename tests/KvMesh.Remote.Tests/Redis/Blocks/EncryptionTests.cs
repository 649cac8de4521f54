using System.Security.Cryptography;
using KvMesh.Remote.Redis.Blocks;
using KvMesh.TestKit;

namespace KvMesh.Remote.Tests.Redis.Blocks;

public sealed class EncryptionTests : IAsyncLifetime
{
    private const int TwoParts = 9 << 20;

    private TierServer _server = null!;

    public async Task InitializeAsync() => _server = await TierServer.StartAsync();

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(100_000)]
    [InlineData(TwoParts)]
    public void Blocks_go_round(int bytes)
    {
        var key = KeyFile("key");
        using var first = Node(key);
        using var second = Node(key);
        var payload = TestBytes.Payload(1, bytes);
        Assert.True(first.Store(TierNode.Key(1), payload));

        Assert.Equal(payload, second.Read(TierNode.Key(1)));
    }

    [Fact]
    public async Task Redis_learns_neither_payload_nor_names()
    {
        using var node = Node(KeyFile("key"));
        var payload = new byte[1000];
        payload.AsSpan().Fill((byte)'p');
        Assert.True(node.Store(TierNode.Key(1), payload));

        var head = (await _server.KeysAsync()).Single(key => key.EndsWith("}:0", StringComparison.Ordinal));
        var value = await _server.AskAsync("GET", head);
        Assert.DoesNotContain("pppp", value, StringComparison.Ordinal);
        Assert.DoesNotContain("model", value, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_key_reads_nothing_and_leaves_the_block_to_those_who_have_it()
    {
        var key = KeyFile("key");
        using var owner = Node(key);
        using var stranger = Node(KeyFile("other"));
        using var plain = Node();
        Assert.True(owner.Store(TierNode.Key(1), [1]));

        Assert.Null(stranger.Read(TierNode.Key(1)));
        Assert.Null(plain.Read(TierNode.Key(1)));
        Assert.Equal((1L, 1L), (stranger.Metrics.Unreadable, plain.Metrics.Unreadable));
        Assert.True(stranger.Store(TierNode.Key(1), [1]));
        Assert.Equal(0, stranger.Metrics.Written);
        Assert.Equal(2, (await _server.KeysAsync()).Length);
        using var later = Node(key);
        Assert.Equal([1], later.Read(TierNode.Key(1)));
    }

    [Fact]
    public void Keys_rotate()
    {
        var (older, newer) = (KeyFile("older"), KeyFile("newer"));
        using var before = Node(older);
        using var after = Node(newer, older);
        Assert.True(before.Store(TierNode.Key(1), [1]));
        Assert.True(after.Store(TierNode.Key(2), [2]));

        Assert.Equal([1], after.Read(TierNode.Key(1)));
        using var onlyNewer = Node(newer);
        Assert.Equal([2], onlyNewer.Read(TierNode.Key(2)));
        Assert.Null(onlyNewer.Read(TierNode.Key(1)));
        Assert.Null(before.Read(TierNode.Key(2)));
    }

    [Fact]
    public void What_is_not_encrypted_is_not_believed_and_is_written_anew()
    {
        var key = KeyFile("key");
        using var plain = Node();
        using var node = Node(key);
        Assert.True(plain.Store(TierNode.Key(1), [1]));

        Assert.Null(node.Read(TierNode.Key(1)));
        Assert.True(node.Store(TierNode.Key(1), [1]));
        Assert.Equal(1, node.Metrics.Written);
        using var second = Node(key);
        Assert.Equal([1], second.Read(TierNode.Key(1)));
    }

    [Theory]
    [InlineData("}:0", 70)]
    [InlineData("}:0", 100)]
    [InlineData("}:0", 90_000)]
    [InlineData("}:1:", 5)]
    [InlineData("}:1:", 5000)]
    public async Task A_changed_byte_is_a_miss_and_goes(string part, int offset)
    {
        var key = KeyFile("key");
        using var first = Node(key);
        using var second = Node(key);
        Assert.True(first.Store(TierNode.Key(1), TestBytes.Payload(1, TwoParts)));
        var name = (await _server.KeysAsync()).Single(name => name.Contains(part, StringComparison.Ordinal) && !name.Contains("scopes", StringComparison.Ordinal));
        await _server.AskAsync("SETRANGE", name, offset.ToString(), "wrong");

        Assert.Null(second.Read(TierNode.Key(1)));
        Assert.Equal(1, second.Metrics.Unreadable);
        await Eventually.Holds(async () => (await _server.KeysAsync()).Length == 1, "it went");
    }

    [Fact]
    public async Task A_value_that_was_moved_to_another_name_is_a_miss()
    {
        var key = KeyFile("key");
        using var node = Node(key);
        using var second = Node(key);
        Assert.True(node.Store(TierNode.Key(1), [1]));
        var first = (await _server.KeysAsync()).Single(name => name.EndsWith("}:0", StringComparison.Ordinal));
        Assert.True(node.Store(TierNode.Key(2), [2]));
        var other = (await _server.KeysAsync()).Single(name => name.EndsWith("}:0", StringComparison.Ordinal) && name != first);
        await _server.AskAsync("COPY", first, other, "REPLACE");

        Assert.Null(second.Read(TierNode.Key(2)));
        Assert.Equal(1, second.Metrics.Unreadable);
    }

    [Fact]
    public void Key_files_are_32_bytes_or_64_digits_of_nobody_else()
    {
        var bytes = RandomNumberGenerator.GetBytes(32);
        var raw = SecretOf("raw", bytes);
        var text = SecretOf("text", System.Text.Encoding.ASCII.GetBytes(Convert.ToHexString(bytes) + "\n"));
        Assert.Equal(bytes, SecretFile.ReadKey(raw));
        Assert.Equal(bytes, SecretFile.ReadKey(text));

        Assert.Contains("it has 31 bytes", Refusal(SecretOf("short", bytes[..31])), StringComparison.Ordinal);
        Assert.Contains("cannot be read", Refusal(Path.Combine(_server.Folder, "missing")), StringComparison.Ordinal);
        File.SetUnixFileMode(raw, UnixFileMode.UserRead | UnixFileMode.OtherRead);
        Assert.Contains("others may read or write it", Refusal(raw), StringComparison.Ordinal);
    }

    private static string Refusal(string path)
    {
        var options = new RedisTierOptions { Address = "127.0.0.1:6379" };
        options.KeyFiles.Add(path);
        return Assert.Single(options.Validate("RedisTier"));
    }

    private string KeyFile(string name) => SecretOf(name, RandomNumberGenerator.GetBytes(SecretFile.KeyBytes));

    private string SecretOf(string name, byte[] content)
    {
        var path = Path.Combine(_server.Folder, name);
        File.WriteAllBytes(path, content);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return path;
    }

    private TierNode Node(params string[] keyFiles) => new(_server.Address, options =>
    {
        foreach (var file in keyFiles)
        {
            options.KeyFiles.Add(file);
        }
    });
}
