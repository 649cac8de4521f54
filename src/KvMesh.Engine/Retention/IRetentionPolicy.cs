using KvMesh.Engine.Blocks;

namespace KvMesh.Engine.Retention;

/// <summary>
/// Decides which resident block leaves next. One instance per tenant and arena; every member is called under the host
/// tier's retention lock, so implementations need no lock of their own. All members are O(1), amortised.
/// </summary>
public interface IRetentionPolicy
{
    /// <summary>A block became resident. <paramref name="request"/> orders it among the touches.</summary>
    void Add(Block block, long request);

    /// <summary>A request used the block, and with it every ancestor of its chain.</summary>
    void Touch(Block block, long request);

    /// <summary>The block is no longer resident.</summary>
    void Remove(Block block);

    /// <summary>
    /// The next block that may leave, or null when none may. The policy keeps the block until it is removed; a candidate
    /// that turns out to be in use is passed back through <see cref="Touch"/>.
    /// </summary>
    Block? NextVictim(Func<Block, bool> mayLeave);

    /// <summary>Resident blocks from the most to the least valuable, for saving at a clean stop.</summary>
    IEnumerable<Block> MostValuableFirst();
}
