using System.Runtime.InteropServices;
using KvMesh.Engine.Coding;
using KvMesh.Engine.Disk;
using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Disk;

/// <summary>
/// What stands on a disk and is not what was written: headers, lists and removal logs with any damage, also behind checksums that are right. A
/// reader says no, or reads within its bytes.
/// </summary>
public sealed class DiskFormatFuzzTests
{
    private const int Rounds = 20_000;
    private const int ChecksumOffset = 12;
    private static readonly Guid Store = new("11111111-2222-3333-4444-555555555555");

    [Theory]
    [InlineData(28, false, false)]
    [InlineData(200_000, false, false)]
    [InlineData(28, true, false)]
    [InlineData(200_000, true, false)]
    [InlineData(28, false, true)]
    [InlineData(28, true, true)]
    [InlineData(200_000, true, true)]
    public void Damaged_record_headers_are_refused_or_stay_within_their_granule(int payloadBytes, bool isEncoded, bool isLossy)
    {
        using var block = new TestBlock("a key", payloadBytes, isEncoded: isEncoded, isLossy: isLossy);
        var granule = new byte[Limits.GranuleBytes];
        RecordHeader.Compose(granule, block.Record, block.Extent);
        RecordHeader.Place(granule, Store, 3, 8192, 17);
        Assert.True(RecordHeader.TryRead(granule, Store, 3, 8192, out _, out _));
        Fuzz.Run(Rounds, random =>
        {
            var damaged = DamageFields(random, granule, RecordHeader.FixedBytes + EncodedFields.Bytes + Loss.Bytes + 32);
            var hasChecksum = random.Next(4) != 0;
            if (hasChecksum)
            {
                Complete(damaged, 0, Limits.GranuleBytes);
            }

            if (RecordHeader.TryRead(damaged, Store, 3, 8192, out var fields, out var record))
            {
                Assert.True(hasChecksum || damaged.AsSpan().SequenceEqual(granule), "damage was not noticed");
                Assert.Equal(fields.KeyBytes, record.Key.Length);
                Assert.InRange(record.PayloadBytes, 0, Limits.MaxBlockBytes);
                Assert.InRange(record.BlockBytes, record.PayloadBytes, Limits.MaxBlockBytes);
                Assert.Equal(fields.Version == RecordFields.EncodedVersion || (fields.Version == RecordFields.LossyVersion && record.IsEncoded), record.IsEncoded);
                Assert.Equal(fields.Version == RecordFields.LossyVersion, record.Loss is not null);
                AssertSaysWhatItIs(record);
                if (fields.RecordBytes == Limits.GranuleBytes)
                {
                    Assert.Equal(record.ExtentBytes, RecordHeader.InlineExtent(damaged, fields).Length);
                }
            }

            RecordHeader.TryReadPrefix(damaged.AsSpan(0, random.Next(damaged.Length)), out _, out _);
        });
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_record_of_a_block_that_lost_something_says_what_and_of_what(bool isEncoded)
    {
        using var block = new TestBlock("a key", 28, version: 7, isEncoded: isEncoded, isLossy: true);
        var granule = new byte[Limits.GranuleBytes];
        var prefix = RecordHeader.Compose(granule, block.Record, block.Extent);
        RecordHeader.Place(granule, Store, 3, 8192, 17);

        Assert.Equal(3u, MemoryMarshal.Read<RecordFields>(granule).Version);
        Assert.Equal(160 + 24 + 16 + "tenantmodelr1a key".Length, prefix);
        Assert.Equal(block.SourceChecksum, BitConverter.ToUInt32(granule, 160 + 16));
        Assert.Equal(12, BitConverter.ToUInt16(granule, 160 + 24));
        Assert.True(RecordHeader.TryRead(granule, Store, 3, 8192, out _, out var record));
        Assert.Equal((TestBlock.LossOf(7), block.SourceChecksum, isEncoded), (record.Loss, record.SourceTableChecksum, record.IsEncoded));
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(2, 1)]
    [InlineData(4, float.PositiveInfinity)]
    [InlineData(8, float.NegativeInfinity)]
    [InlineData(12, -0.5f)]
    public void A_loss_that_cannot_be_is_no_record(int offset, float value)
    {
        using var block = new TestBlock("a key", 28, isEncoded: true, isLossy: true);
        var granule = new byte[Limits.GranuleBytes];
        RecordHeader.Compose(granule, block.Record, block.Extent);
        var loss = granule.AsSpan(RecordHeader.FixedBytes + EncodedFields.Bytes);
        if (offset < 4)
        {
            BitConverter.TryWriteBytes(loss[offset..], (ushort)value);
        }
        else
        {
            BitConverter.TryWriteBytes(loss[offset..], value);
        }

        RecordHeader.Place(granule, Store, 3, 8192, 17);

        Assert.False(RecordHeader.TryRead(granule, Store, 3, 8192, out _, out _));
    }

    [Fact]
    public void Damaged_indexes_of_encoded_extents_are_refused_or_say_what_can_be()
    {
        var index = new byte[EncodedIndex.Bytes];
        new EncodedIndex(60_000, 1, 2, 12, TestBlock.LossOf(3)).Write(index);
        Assert.True(EncodedIndex.TryRead(index, out var whole));
        Assert.Equal(new EncodedIndex(60_000, 1, 2, 12, TestBlock.LossOf(3)), whole);
        Fuzz.Run(Rounds, random =>
        {
            var damaged = Fuzz.Damage(random, index);
            var hasChecksum = damaged.Length == EncodedIndex.Bytes && random.Next(4) != 0;
            if (hasChecksum)
            {
                BitConverter.TryWriteBytes(damaged.AsSpan(EncodedIndex.Bytes - sizeof(uint)), Crc32C.Compute(damaged.AsSpan(0, EncodedIndex.Bytes - sizeof(uint))));
            }

            if (EncodedIndex.TryRead(damaged, out var read))
            {
                Assert.True(hasChecksum || damaged.AsSpan().SequenceEqual(index), "damage was not noticed");
                Assert.InRange(read.BlockBytes, 0, Limits.MaxBlockBytes);
                Assert.NotEqual(0, read.Codec);
                AssertPossible(read.Loss);
            }
        });
    }

    [Fact]
    public void A_record_that_is_not_encoded_has_the_header_of_before()
    {
        using var block = new TestBlock("a key", 28);
        var granule = new byte[Limits.GranuleBytes];
        var prefix = RecordHeader.Compose(granule, block.Record, block.Extent);
        RecordHeader.Place(granule, Store, 3, 8192, 17);

        Assert.Equal(1u, MemoryMarshal.Read<RecordFields>(granule).Version);
        Assert.Equal(160 + "tenant".Length + "model".Length + "r1".Length + "a key".Length, prefix);
        Assert.Equal("tenantmodelr1a key"u8.ToArray(), granule[160..prefix]);
    }

    [Fact]
    public void A_record_of_a_later_way_of_encoding_is_not_read()
    {
        using var block = new TestBlock("a key", 28, isEncoded: true);
        var granule = new byte[Limits.GranuleBytes];
        RecordHeader.Compose(granule, block.Record, block.Extent);
        RecordHeader.Place(granule, Store, 3, 8192, 17);
        Assert.True(RecordHeader.TryRead(granule, Store, 3, 8192, out _, out var record));
        Assert.Equal((11, 57L), (record.Codec, record.BlockBytes));

        // The flags of the encoded fields.
        granule[RecordHeader.FixedBytes + 14] = 1;
        RecordHeader.Place(granule, Store, 3, 8192, 17);

        Assert.False(RecordHeader.TryRead(granule, Store, 3, 8192, out _, out _));
    }

    [Fact]
    public void Damaged_segment_headers_are_refused()
    {
        var granule = new byte[Limits.GranuleBytes];
        SegmentHeader.Write(granule, Store, 5, 1 << 20, 99);
        Assert.Null(SegmentHeader.Refusal(granule, Store, 5));
        Fuzz.Run(Rounds / 4, random =>
        {
            var damaged = DamageFields(random, granule, 64);
            Assert.True(SegmentHeader.Refusal(damaged, Store, 5) is not null || damaged.AsSpan().SequenceEqual(granule), "damage was not noticed");
        });
    }

    [Fact]
    public void Damaged_lists_are_refused_or_walked_to_an_end()
    {
        using var block = new TestBlock("a key", 5000);
        var granule = new byte[Limits.GranuleBytes];
        var prefix = RecordHeader.Compose(granule, block.Record, block.Extent);
        RecordHeader.Place(granule, Store, 3, 8192, 17);
        var list = new RecordList();
        for (var index = 0; index < 5; index++)
        {
            list.Add(4096 + (index * 12_288), granule.AsSpan(0, prefix));
        }

        var file = list.ToFile(Store, 3, isClosed: true, coveredBytes: 1 << 20);
        Assert.True(RecordList.TryOpen(file, Store, 3, out _, out _));
        Fuzz.Run(Rounds, random =>
        {
            var damaged = Fuzz.Damage(random, file);
            if (damaged.Length >= RecordListHeader.Bytes && random.Next(4) != 0)
            {
                var bytes = random.Next(2) == 0 ? damaged.Length : Math.Clamp(BitConverter.ToInt64(damaged, 48), RecordListHeader.Bytes, damaged.Length);
                Complete(damaged, 16, (int)bytes);
            }

            if (RecordList.TryOpen(damaged, Store, 3, out _, out var entries))
            {
                var reader = new RecordList.Reader(entries);
                while (reader.TryNext(out _, out var entry))
                {
                    RecordHeader.TryReadPrefix(entry, out _, out _);
                }
            }
        });
    }

    private static void AssertSaysWhatItIs(in DiskRecord record)
    {
        AssertPossible(record.Loss);
        if (!record.IsEncoded)
        {
            Assert.Equal((record.PayloadBytes, record.TableChecksum), (record.BlockBytes, record.BlockTableChecksum));
        }

        Assert.True(record.Loss is not null || record.SourceTableChecksum == 0, "an exact record says what it was before");
    }

    private static void AssertPossible(Loss? loss)
    {
        if (loss is not null)
        {
            Assert.NotEqual(0, loss.Codec);
            Assert.All([loss.Keys, loss.Values, loss.Outputs], error => Assert.True(float.IsNaN(error) || (error >= 0 && float.IsFinite(error))));
        }
    }

    /// <summary>Puts a checksum right: at offset 12, over everything from <paramref name="from"/> on, itself as zero.</summary>
    private static void Complete(Span<byte> bytes, int from, int to)
    {
        bytes.Slice(ChecksumOffset, sizeof(uint)).Clear();
        var checksum = Crc32C.Compute(bytes[from..to]);
        MemoryMarshal.Write(bytes[ChecksumOffset..], checksum);
    }

    /// <summary>Changes bytes of the first fields only, so that most attempts come past the magic.</summary>
    private static byte[] DamageFields(Random random, byte[] granule, int fieldBytes)
    {
        var damaged = granule.ToArray();
        for (var changes = random.Next(1, 4); changes > 0; changes--)
        {
            var at = random.Next(16, fieldBytes);
            var length = Math.Min(fieldBytes - at, 1 << random.Next(4));
            random.NextBytes(damaged.AsSpan(at, length));
            if (random.Next(3) == 0)
            {
                damaged.AsSpan(at, length).Fill((byte)(random.Next(2) * 255));
            }
        }

        return damaged;
    }
}
