using KvMesh.Cli.Workload;
using KvMesh.Client;
using KvMesh.Protocol.Keys;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary>A chain of blocks whose payloads name themselves, and what a client does with it.</summary>
internal sealed class Blocks
{
    public const int PayloadBytes = 64 * 1024;

    private const ulong Seed = 42;

    public Blocks(int chain, int count)
    {
        Hashes = [.. Enumerable.Range(0, count).Select(index => (ReadOnlyMemory<byte>)TestBytes.Hash(chain, index))];
        Joined = Hashes.SelectMany(hash => hash.ToArray()).ToArray();
    }

    public static BlockScope Scope { get; } = new("system-tests", "r1", new byte[32], 0);

    public IReadOnlyList<ReadOnlyMemory<byte>> Hashes { get; }

    /// <summary>All hashes, one after the other.</summary>
    public ReadOnlyMemory<byte> Joined { get; }

    public static ReadOnlyMemory<byte> Hash(int chain, int index) => TestBytes.Hash(chain, index);

    public static byte[] Payload(ReadOnlyMemory<byte> hash, uint version = 0, int bytes = PayloadBytes)
    {
        var payload = new byte[bytes];
        BlockPayload.Fill(payload, PayloadIdentity.Of(Seed, hash.Span, version));
        return payload;
    }

    public static PayloadCheck Check(ReadOnlyMemory<byte> hash, ReadOnlySpan<byte> payload, uint version = 0) =>
        BlockPayload.Check(payload, PayloadIdentity.Of(Seed, hash.Span, version));

    public static Task<KvMeshClient> ConnectAsync(string endpoint, bool sharedMemory = false) =>
        KvMeshClient.ConnectAsync(
            new ClientOptions { Endpoint = endpoint, AllowSharedMemory = sharedMemory, Connections = 1, RequestTimeout = Eventually.Patience, ConnectTimeout = Eventually.Patience },
            CancellationToken.None).AsTask();

    /// <summary>Puts the chain in order. Returns how many the node took.</summary>
    public async Task<int> PutAsync(KvMeshClient client)
    {
        var stored = 0;
        for (var i = 0; i < Hashes.Count; i++)
        {
            var parent = i == 0 ? default : Hashes[i - 1];
            var status = await client.PutAsync(Scope, Hashes[i], parent, Payload(Hashes[i]), CancellationToken.None);
            stored += status == PutStatus.Stored ? 1 : 0;
        }

        return stored;
    }

    /// <summary>Gets every block and checks every byte of the hits. Returns how many were there.</summary>
    public async Task<int> GetAsync(KvMeshClient client)
    {
        var hits = 0;
        var buffer = new byte[PayloadBytes];
        foreach (var hash in Hashes)
        {
            var result = await client.GetAsync(Scope, hash, buffer, CancellationToken.None);
            Assert.True(result.Status is GetStatus.Hit or GetStatus.Miss, $"a get ended as {result.Status}");
            if (result.IsHit)
            {
                Assert.Equal(PayloadBytes, result.Bytes);
                var check = Check(hash, buffer);
                Assert.True(check.IsMatch, $"{check.MismatchedBytes} wrong bytes from {check.FirstMismatch} on, of key word {check.Seen.KeyWord:x}");
                hits++;
            }
        }

        return hits;
    }
}
