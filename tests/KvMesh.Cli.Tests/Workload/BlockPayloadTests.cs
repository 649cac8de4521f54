using KvMesh.Cli.Workload;
using KvMesh.TestKit;

namespace KvMesh.Cli.Tests.Workload;

public sealed class BlockPayloadTests
{
    private static readonly PayloadIdentity Mine = new(0x1122334455667788, 3);
    private static readonly PayloadIdentity Other = new(0x99AABBCCDDEEFF00, 7);

    [Theory]
    [InlineData(1)]
    [InlineData(63)]
    [InlineData(64)]
    [InlineData(65)]
    [InlineData(4096)]
    [InlineData(100_003)]
    public void A_filled_payload_passes_its_own_check(int bytes)
    {
        var payload = new byte[bytes];
        BlockPayload.Fill(payload, Mine);

        Assert.True(BlockPayload.Check(payload, Mine).IsMatch);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(64)]
    [InlineData(4095)]
    [InlineData(9999)]
    public void A_single_wrong_bit_is_found_and_located(int offset)
    {
        var payload = new byte[10_000];
        BlockPayload.Fill(payload, Mine);
        payload[offset] ^= 0x10;

        var check = BlockPayload.Check(payload, Mine);

        Assert.Equal(1, check.MismatchedBytes);
        Assert.Equal(offset, check.FirstMismatch);
    }

    [Fact]
    public void Bytes_of_another_key_name_that_key_and_its_version()
    {
        var payload = new byte[8192];
        BlockPayload.Fill(payload, Other);

        var check = BlockPayload.Check(payload, Mine);

        Assert.Equal(Other, check.Seen);
        Assert.True(check.MismatchedBytes > 4096, $"only {check.MismatchedBytes} bytes differ between two keys");
    }

    [Fact]
    public void A_seam_between_two_payloads_is_located_and_named()
    {
        var payload = new byte[8192];
        BlockPayload.Fill(payload, Mine);
        var other = new byte[8192];
        BlockPayload.Fill(other, Other);
        other.AsSpan(4096).CopyTo(payload.AsSpan(4096));

        var check = BlockPayload.Check(payload, Mine);

        Assert.Equal(Other, check.Seen);
        Assert.InRange(check.FirstMismatch, 4096, 4096 + 8);
    }

    [Fact]
    public void Two_versions_of_one_key_differ_in_every_line()
    {
        var first = new byte[6400];
        var second = new byte[6400];
        BlockPayload.Fill(first, Mine);
        BlockPayload.Fill(second, Mine with { Version = 4 });

        Assert.All(Enumerable.Range(0, 100), line => Assert.False(first.AsSpan(line * 64, 64).SequenceEqual(second.AsSpan(line * 64, 64))));
    }

    [Fact]
    public void Lines_of_one_payload_differ_so_that_a_shifted_block_is_found()
    {
        var payload = new byte[128 * 64];
        BlockPayload.Fill(payload, Mine);
        var shifted = new byte[payload.Length];
        payload.AsSpan(64).CopyTo(shifted);

        Assert.False(BlockPayload.Check(shifted, Mine).IsMatch);
    }

    [Fact]
    public void The_bytes_are_the_same_in_every_build()
    {
        var payload = new byte[72];
        BlockPayload.Fill(payload, new PayloadIdentity(1, 2));

        Assert.Equal("0100000000000000" + "0000000002000000", Convert.ToHexStringLower(payload.AsSpan(0, 16)));
        Assert.Equal("0100000000000000", Convert.ToHexStringLower(payload.AsSpan(64, 8)));
    }

    [Fact]
    public void Filling_and_checking_allocate_nothing()
    {
        var payload = new byte[64 * 1024];
        BlockPayload.Fill(payload, Mine);
        BlockPayload.Check(payload, Mine);

        Assert.Equal(0, Allocations.Of(FillAndCheckOften));

        void FillAndCheckOften()
        {
            for (var i = 0; i < 1000; i++)
            {
                BlockPayload.Fill(payload, Mine);
                BlockPayload.Check(payload, Mine);
            }
        }
    }
}
