using KvMesh.Engine.Blocks;
using KvMesh.Engine.FarTiers;
using KvMesh.TestKit.FarTiers;

namespace KvMesh.Engine.Tests.FarTiers;

/// <summary>The tier of the tests keeps the same contract as the real ones.</summary>
public sealed class MemoryTierTests : BlockTierContract
{
    private readonly MemoryTier _tier = new();

    protected override IBlockTier Tier => _tier;

    protected override void Store(byte[] key, byte[] payload, byte[]? parent = null) =>
        _tier.Store(Tenant.DefaultName, key, payload, BlockTraits.Content("model", "1", parent));
}
