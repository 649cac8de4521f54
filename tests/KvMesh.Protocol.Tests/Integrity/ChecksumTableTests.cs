using KvMesh.Protocol.Integrity;

namespace KvMesh.Protocol.Tests.Integrity;

public sealed class ChecksumTableTests
{
    private const int Chunk = Limits.ChecksumChunkBytes;

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 1)]
    [InlineData(Chunk, 1)]
    [InlineData(Chunk + 1, 2)]
    [InlineData(Limits.MaxBlockBytes, Limits.MaxChecksumEntries)]
    public void Has_one_entry_for_each_chunk(long payloadBytes, int entries)
    {
        Assert.Equal(entries, ChecksumTable.EntryCount(payloadBytes));
    }

    [Fact]
    public void Entries_are_the_checksums_of_the_chunks_and_the_seal_is_over_the_entries()
    {
        var payload = RandomBytes((2 * Chunk) + 100);
        var table = new uint[3];
        ChecksumTable.Compute(payload, table);

        Assert.Equal(Crc32C.Compute(payload.AsSpan(0, Chunk)), table[0]);
        Assert.Equal(Crc32C.Compute(payload.AsSpan(Chunk, Chunk)), table[1]);
        Assert.Equal(Crc32C.Compute(payload.AsSpan(2 * Chunk)), table[2]);
        var bytes = table.SelectMany(BitConverter.GetBytes).ToArray();
        Assert.Equal(Crc32C.Compute(bytes), ChecksumTable.Seal(table));
    }

    [Fact]
    public void A_changed_byte_is_found_in_its_chunk()
    {
        var payload = RandomBytes((3 * Chunk) + 7);
        var table = new uint[4];
        ChecksumTable.Compute(payload, table);
        Assert.Equal(-1, ChecksumTable.FirstMismatch(payload, table));
        foreach (var position in new[] { 0, Chunk - 1, Chunk, (3 * Chunk) + 6 })
        {
            payload[position] ^= 1;
            Assert.Equal(position / Chunk, ChecksumTable.FirstMismatch(payload, table));
            payload[position] ^= 1;
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    [InlineData((2 * Chunk) + 100)]
    [InlineData((20 * Chunk) + 1)]
    public void Copying_gives_the_same_table_and_the_same_bytes(int payloadBytes)
    {
        var payload = RandomBytes(payloadBytes);
        var expected = new uint[ChecksumTable.EntryCount(payloadBytes)];
        var table = new uint[expected.Length];
        var copy = new byte[payloadBytes + 5];
        ChecksumTable.Compute(payload, expected);
        ChecksumTable.CopyAndCompute(payload, copy, table, streams: payloadBytes % 2 != 0);

        Assert.Equal(expected, table);
        Assert.True(payload.AsSpan().SequenceEqual(copy.AsSpan(0, payloadBytes)));
    }

    [Fact]
    public void A_running_checksum_fills_the_same_table_from_pieces_of_any_size()
    {
        var random = new Random(6);
        var payload = RandomBytes((3 * Chunk) + 4321);
        var expected = new uint[4];
        ChecksumTable.Compute(payload, expected);
        for (var round = 0; round < 50; round++)
        {
            var running = new RunningChecksum();
            var table = new uint[4];
            while (running.AppendedBytes < payload.Length)
            {
                var start = (int)running.AppendedBytes;
                running.Append(payload.AsSpan(start, Math.Min(payload.Length - start, random.Next(1, 1 << random.Next(1, 19)))), table);
            }

            Assert.Equal(expected, table);
        }
    }

    private static byte[] RandomBytes(int count)
    {
        var bytes = new byte[count];
        new Random(count).NextBytes(bytes);
        return bytes;
    }
}
