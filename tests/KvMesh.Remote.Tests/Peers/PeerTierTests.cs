using KvMesh.Engine.FarTiers;
using KvMesh.TestKit.FarTiers;

namespace KvMesh.Remote.Tests.Peers;

/// <summary>The contract of every far tier, kept by another node behind its native door.</summary>
public sealed class PeerTierTests : BlockTierContract, IAsyncLifetime
{
    private readonly PeerNode _node = new();
    private readonly TestMesh _mesh = new();
    private readonly ushort _number;

    public PeerTierTests() => _number = _mesh.Join(_node.Endpoint);

    protected override IBlockTier Tier => _mesh.Tier;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        Dispose();
        _mesh.Dispose();
        await _node.DisposeAsync();
    }

    protected override void Store(byte[] key, byte[] payload, byte[]? parent = null)
    {
        _node.Engine.PutContent(key, payload, parent);
        _mesh.Place(key, _number);
    }
}
