using System.Buffers.Binary;
using KvMesh.Client;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;

namespace KvMesh.LoadTest.Clients;

/// <summary>Blocks of the native protocol, by number: their keys, and their payloads, which begin and end with the number.</summary>
internal static class BenchBlocks
{
    private static long _nextFresh = 1L << 40;

    public static BlockScope Scope { get; } = new("bench-model", "r1", new byte[Limits.ChainHashBytes], 0);

    /// <summary>A number that no block of this process had yet.</summary>
    public static long NextFresh() => Interlocked.Increment(ref _nextFresh);

    public static void WriteHash(Span<byte> hash, long number)
    {
        hash.Clear();
        BinaryPrimitives.WriteInt64LittleEndian(hash, number);
        BinaryPrimitives.WriteInt64LittleEndian(hash[8..], ~number);
    }

    public static void Sign(Span<byte> payload, long number)
    {
        BinaryPrimitives.WriteInt64LittleEndian(payload, number);
        BinaryPrimitives.WriteInt64LittleEndian(payload[^8..], number);
    }

    public static void Check(ReadOnlySpan<byte> payload, long number)
    {
        if (BinaryPrimitives.ReadInt64LittleEndian(payload) != number || BinaryPrimitives.ReadInt64LittleEndian(payload[^8..]) != number)
        {
            throw new LoadTestException($"Block {number} came with the bytes of another block.");
        }
    }

    /// <summary>Stores blocks 0 to <paramref name="count"/> - 1.</summary>
    public static async Task FillAsync(KvMeshClient client, long count, int payloadBytes)
    {
        var hash = new byte[Limits.ChainHashBytes];
        var payload = new byte[payloadBytes];
        Array.Fill(payload, (byte)0x5A);
        for (var number = 0L; number < count; number++)
        {
            WriteHash(hash, number);
            Sign(payload, number);
            var status = await client.PutAsync(Scope, hash, ReadOnlyMemory<byte>.Empty, payload, CancellationToken.None).ConfigureAwait(false);
            if (status is not (PutStatus.Stored or PutStatus.AlreadyPresent))
            {
                throw new LoadTestException($"The node did not store block {number}: {status}.");
            }
        }
    }
}
