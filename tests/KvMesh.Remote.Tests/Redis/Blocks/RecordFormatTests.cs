using System.Text;
using KvMesh.Protocol;
using KvMesh.Remote.Redis.Blocks;

namespace KvMesh.Remote.Tests.Redis.Blocks;

public sealed class RecordFormatTests
{
    private static readonly RecordHead Head = new(0x0102030405060708, 9, 10, 11, (9 << 20) + 5, 12, 40);

    [Fact]
    public void A_head_is_these_bytes()
    {
        var bytes = new byte[RecordHead.Bytes];
        Head.Write(bytes);
        Assert.Equal(
            "4b56524201000000" + "0807060504030201" + "0900000000000000" + "0a00000000000000" + "0b00000000000000" + "05009000" + "0c000000" + "28000000" + "0200" + "0000" + "00000000",
            Convert.ToHexStringLower(bytes[..60]));
        Assert.True(RecordHead.TryRead(bytes, out var read));
        Assert.Equal(Head, read);
        Assert.Equal((2, 145 * 4), (read.Parts, read.TableBytes));
    }

    [Fact]
    public void A_head_with_any_byte_changed_is_refused()
    {
        var bytes = new byte[RecordHead.Bytes];
        Head.Write(bytes);
        for (var index = 0; index < bytes.Length; index++)
        {
            bytes[index] ^= 1;
            Assert.False(RecordHead.TryRead(bytes, out _), $"byte {index}");
            bytes[index] ^= 1;
        }

        Assert.False(RecordHead.TryRead(bytes.AsSpan(0, RecordHead.Bytes - 1), out _));
    }

    [Theory]
    [InlineData(-1, 40, 0)]
    [InlineData(Limits.MaxBlockBytes + 1, 40, 0)]
    [InlineData(1, RecordNames.FixedBytes - 1, 0)]
    [InlineData(1, RecordNames.MaxBytes + 1, 0)]
    [InlineData(1, 40, -1)]
    public void Lengths_that_cannot_be_are_refused(int payloadBytes, int nameBytes, long expiresAt)
    {
        var bytes = new byte[RecordHead.Bytes];
        (Head with { PayloadBytes = payloadBytes, NameBytes = nameBytes, ExpiresAt = expiresAt }).Write(bytes);
        Assert.False(RecordHead.TryRead(bytes, out _));
    }

    [Fact]
    public void A_head_of_a_lossy_block_says_so_and_how_long_its_loss_is()
    {
        var lossy = Head with { Codec = 12, Flags = RecordFlags.Lossy };
        var bytes = new byte[RecordHead.Bytes];
        lossy.Write(bytes);
        Assert.Equal("0c01", Convert.ToHexStringLower(bytes[6..8]));
        Assert.True(RecordHead.TryRead(bytes, out var read));
        Assert.Equal(lossy, read);
        Assert.Equal((32, 16, 0, 32), (read.CodedBytes, (lossy with { Flags = RecordFlags.LosslessOnly }).CodedBytes, Head.CodedBytes, (lossy with { Codec = 0 }).CodedBytes));
    }

    [Fact]
    public void Flags_of_a_later_version_are_refused()
    {
        var bytes = new byte[RecordHead.Bytes];
        for (var flags = 0; flags < 256; flags++)
        {
            (Head with { Flags = (RecordFlags)flags }).Write(bytes);
            Assert.Equal(flags < 4, RecordHead.TryRead(bytes, out _));
        }
    }

    [Fact]
    public void The_largest_value_stays_within_8_MiB()
    {
        var largest = Head with { PayloadBytes = Limits.MaxBlockBytes, NameBytes = RecordNames.MaxBytes };
        Assert.InRange(largest.HeadValueBytes, 1, RecordHead.MaxValueBytes);
        Assert.All(Enumerable.Range(1, largest.Parts - 1), part => Assert.InRange(largest.PartValueBytes(part), 1, RecordHead.MaxValueBytes));
        Assert.Equal(Limits.MaxBlockBytes, Enumerable.Range(0, largest.Parts).Sum(largest.PayloadBytesOf));
    }

    [Fact]
    public void Names_go_round_and_lengths_must_add_up()
    {
        var names = new RecordNames { Tenant = "t"u8, Model = "m"u8, Revision = "r"u8, Key = "key"u8, ParentKey = "parent"u8, CompanionOf = "main"u8 };
        var bytes = new byte[names.Bytes];
        names.Write(bytes);

        Assert.True(RecordNames.TryRead(bytes, out var read));
        Assert.Equal("t m r key parent main", string.Join(' ', Text(read.Tenant), Text(read.Model), Text(read.Revision), Text(read.Key), Text(read.ParentKey), Text(read.CompanionOf)));
        for (var length = 0; length < bytes.Length; length++)
        {
            Assert.False(RecordNames.TryRead(bytes.AsSpan(0, length), out _));
        }

        Assert.False(RecordNames.TryRead([.. bytes, 0], out _));

        static string Text(ReadOnlySpan<byte> bytes) => Encoding.UTF8.GetString(bytes);
    }

    [Fact]
    public void Keys_of_a_block_share_a_hash_tag_and_tenants_have_other_names()
    {
        var keys = new RedisKeys("p", "c");
        var name = BlockName.Of("t"u8, "key"u8);
        Span<byte> key = new byte[RedisKeys.MaxBytes];
        var head = Encoding.ASCII.GetString(key[..keys.WriteHead(name, key)]);
        var part = Encoding.ASCII.GetString(key[..keys.WritePart(name, 12, 0xab, key)]);

        Assert.Matches("^p:c:\\{[0-9a-f]{32}\\}:0$", head);
        Assert.Equal(head[..^1] + "12:00000000000000ab", part);
        Assert.NotEqual(name, BlockName.Of("tk"u8, "ey"u8));
        Assert.StartsWith("p:c:scopes:{", Encoding.ASCII.GetString(keys.Scopes("t")), StringComparison.Ordinal);
    }

    [Fact]
    public void Options_are_checked_all_at_once()
    {
        var options = new RedisTierOptions { Address = "nowhere", Prefix = "a{b", TimeToLive = TimeSpan.Zero, Deadline = TimeSpan.Zero, PasswordFile = "/missing" };
        var errors = options.Validate("X").ToArray();

        Assert.Equal(["X:Address", "X:Prefix", "X:TimeToLive", "X:Deadline", "X:PasswordFile"], errors.Select(error => error.Split(' ')[0]));
        Assert.Empty(new RedisTierOptions { Prefix = "" }.Validate("X"));
    }
}
