using System.Buffers.Binary;
using KvMesh.Protocol.Keys;
using KvMesh.TestKit;

namespace KvMesh.Protocol.Tests.Keys;

public sealed class LmcacheMetadataTests
{
    /// <summary>A chunk of Mistral-7B in bf16, half of its heads: [2, 32, 256, 512].</summary>
    private static readonly byte[] Mistral = Convert.FromHexString("00000001010000000300000002000000200000000001000000020000");

    [Fact]
    public void Reads_what_a_client_writes()
    {
        Assert.True(LmcacheMetadata.TryRead(Mistral, out var metadata));

        Assert.Equal(16 << 20, metadata.PayloadBytes);
        Assert.Equal(LmcacheFormat.KeysValuesLayers, metadata.Format);
        Assert.Equal(1, metadata.GroupCount);
        Assert.Equal(new LmcacheGroup(3, 2, 32, 256, 512), metadata.Group(0));
        Assert.Equal(16 << 20, metadata.Group(0).Bytes);
    }

    [Fact]
    public void Reads_several_groups_of_layers()
    {
        Assert.True(LmcacheMetadata.TryRead(Of(1536, 1, 3, 2, 2, 2, 64, 7, 2, 1, 4, 64), out var metadata));

        Assert.Equal(2, metadata.GroupCount);
        Assert.Equal(new LmcacheGroup(7, 2, 1, 4, 64), metadata.Group(1));
    }

    [Theory]
    [InlineData(64, 99, 3, 2, 2, 4, 2)]
    [InlineData(7, 1, 0, 2, 2, 4, 2)]
    [InlineData(7, 1, 77, 2, 2, 4, 2)]
    [InlineData(64, 3, 3, 2, 4, 4, 0)]
    [InlineData(64, 4, 6, 64, 0, 0, 0)]
    public void Numbers_that_mean_nothing_here_are_read_as_they_are(params int[] numbers) =>
        Assert.True(LmcacheMetadata.TryRead(Of(numbers), out _));

    [Theory]
    [InlineData(63, 1, 3, 2, 2, 4, 2)]
    [InlineData(0, 1, 3, 2, 2, 4, 2)]
    [InlineData(-64, 1, 3, 2, 2, 4, 2)]
    [InlineData(64, 1, 3, -2, -2, 4, 2)]
    [InlineData(64, 1, 3, 2, 0, 4, 4)]
    [InlineData(0, 1, 3, 0, 0, 0, 0)]
    [InlineData(64, 1, 3, int.MaxValue, int.MaxValue, int.MaxValue, int.MaxValue)]
    [InlineData(int.MaxValue, 1, 3, 2, 1024, 16384, 64)]
    [InlineData(64, 1, 3, 65536, 65536, 65536, 65536)]
    public void Numbers_that_contradict_each_other_are_refused(params int[] numbers) =>
        Assert.False(LmcacheMetadata.TryRead(Of(numbers), out _));

    [Fact]
    public void Another_length_is_refused()
    {
        for (var length = 0; length <= LmcacheMetadata.MaxBytes + 40; length++)
        {
            var value = new byte[length];
            Mistral.AsSpan(0, Math.Min(length, Mistral.Length)).CopyTo(value);

            Assert.Equal(length == Mistral.Length, LmcacheMetadata.TryRead(value, out _));
        }
    }

    [Fact]
    public void Any_bytes_are_read_or_refused() => Fuzz.Run(20_000, random =>
    {
        var value = random.Next(2) == 0 ? Fuzz.Damage(random, Mistral) : new byte[8 + (20 * random.Next(1, 18))];
        if (random.Next(2) == 0)
        {
            for (var at = 0; at + 4 <= value.Length; at += 4)
            {
                BinaryPrimitives.WriteInt32LittleEndian(value.AsSpan(at), random.Next(4) == 0 ? random.Next() : random.Next(0, 9));
            }
        }

        if (!LmcacheMetadata.TryRead(value, out var metadata))
        {
            return;
        }

        Assert.InRange(metadata.PayloadBytes, 1, Limits.MaxBlockBytes);
        for (var index = 0; index < metadata.GroupCount; index++)
        {
            Assert.InRange(metadata.Group(index).Bytes, 0, 8L * Limits.MaxBlockBytes);
        }
    });

    private static byte[] Of(params int[] numbers)
    {
        var value = new byte[numbers.Length * sizeof(int)];
        for (var index = 0; index < numbers.Length; index++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(value.AsSpan(index * sizeof(int)), numbers[index]);
        }

        return value;
    }
}
