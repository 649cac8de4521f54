using KvMesh.Protocol.Integrity;
using KvMesh.TestKit;
using KvMesh.TestKit.FarTiers;

namespace KvMesh.Remote.Tests.Peers;

/// <summary>Copies that have lost something between two real nodes: what a reader gets, what it is told, and what the map is told.</summary>
public sealed class LossyPeerTests
{
    private const int PayloadBytes = 200_000;
    private static readonly byte[] Key = TestBytes.Hash(1, 0);
    private static readonly byte[] Exact = TestBytes.Payload(1, PayloadBytes);
    private static readonly byte[] Rounded = RoundingCoder.Lossy(Exact);

    [Fact]
    public async Task A_copy_of_a_lossy_copy_says_what_was_lost()
    {
        await using var scene = new Scene();
        scene.Mesh.Place(Key, scene.Lossy);
        Assert.Equal(Rounded, scene.Mesh.Read(Key));
        Assert.Equal(RoundingCoder.Loss, scene.LossHere());
        Assert.Null(scene.ReadLossless());
        Assert.Empty(scene.Mesh.FalseHits);
    }

    [Fact]
    public async Task A_lossless_reader_misses_it_and_the_map_is_told_nothing()
    {
        await using var scene = new Scene();
        scene.Mesh.Place(Key, scene.Lossy);
        Assert.Null(scene.ReadLossless());
        Assert.Empty(scene.Mesh.FalseHits);
        Assert.False(scene.Mesh.Here.Engine.TryInspect(scene.Mesh.Here.Tenant, Key, out _));

        // Whoever takes what there is gets it still.
        Assert.Equal(Rounded, scene.Mesh.Read(Key));
    }

    [Fact]
    public async Task A_lossless_reader_goes_on_to_the_node_that_has_every_bit()
    {
        await using var scene = new Scene();
        scene.Mesh.Place(Key, scene.Lossy, scene.Exact);
        Assert.Equal(Exact, scene.ReadLossless());
        Assert.Null(scene.LossHere());
        Assert.Empty(scene.Mesh.FalseHits);
    }

    [Fact]
    public async Task An_exact_copy_takes_the_place_of_a_lossy_one_and_stays()
    {
        await using var scene = new Scene();
        scene.Mesh.Place(Key, scene.Lossy);
        Assert.Equal(Rounded, scene.Mesh.Read(Key));
        scene.Mesh.Place(Key, scene.Lossy, scene.Exact);
        Assert.Equal(Exact, scene.ReadLossless());
        Assert.Null(scene.LossHere());
        Assert.Equal(Exact, scene.Mesh.Read(Key));
    }

    [Fact]
    public async Task What_may_lose_nothing_there_may_lose_nothing_here()
    {
        await using var scene = new Scene();
        Assert.Equal(1, scene.Origin.Engine.KeepLossless(scene.Origin.Tenant, Key, most: 1));
        scene.Mesh.Place(Key, scene.Exact);
        Assert.Equal(Exact, scene.Mesh.Read(Key));
        Assert.True(scene.Mesh.Here.Engine.TryInspect(scene.Mesh.Here.Tenant, Key, out var info) && info.IsLosslessOnly);
    }

    /// <summary>A node that has the block as it was written, one that has it with a loss, and one that reads.</summary>
    private sealed class Scene : IAsyncDisposable
    {
        private readonly PeerNode _lossy = new();
        private readonly PeerNode _exact = new();

        public Scene()
        {
            Lossy = Mesh.Join(_lossy.Endpoint);
            Exact = Mesh.Join(_exact.Endpoint);
            Origin.PutContent(Key, LossyPeerTests.Exact);

            // As it came from a tier that keeps it so.
            var below = new MemoryTier();
            below.StoreLossy(Key, Rounded, RoundingCoder.Loss);
            _lossy.Engine.Engine.AttachTier(below);
            Assert.True(_lossy.Engine.Engine.TryReadAnywhere(_lossy.Engine.Tenant, Key, out var read));
            read.Dispose();
        }

        public TestMesh Mesh { get; } = new();

        public TestEngine Origin => _exact.Engine;

        public ushort Lossy { get; }

        public ushort Exact { get; }

        public Loss? LossHere() =>
            Mesh.Here.Engine.TryInspect(Mesh.Here.Tenant, Key, out var info) ? info.Loss : throw new InvalidOperationException("The block is not here.");

        public byte[]? ReadLossless()
        {
            if (!Mesh.Here.Engine.TryReadAnywhere(Mesh.Here.Tenant, Key, out var read, losslessOnly: true))
            {
                return null;
            }

            using (read)
            {
                return read.Verify() ? read.Payload.ToArray() : null;
            }
        }

        public async ValueTask DisposeAsync()
        {
            Mesh.Dispose();
            await _lossy.DisposeAsync();
            await _exact.DisposeAsync();
        }
    }
}
