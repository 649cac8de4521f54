using KvMesh.Engine.Blocks;

namespace KvMesh.Engine.FarTiers;

/// <summary>
/// A tier beyond this node's RAM and disk: other nodes, or a store that all nodes share. It holds content only, which is immutable, so
/// that a copy is as good as the original. Every member may be called from any thread, blocks, and never throws: a tier that fails
/// holds nothing.
/// </summary>
public interface IBlockTier
{
    /// <summary>Name in figures, metrics and logs: "gpu", "peers", "redis".</summary>
    string Name { get; }

    /// <summary>Whether <see cref="Offer"/> takes anything.</summary>
    bool TakesOffers { get; }

    /// <summary>
    /// Whether it believes to hold the block: 0 for no, which keeps <see cref="Fetch"/> from being called; any other number for yes or do
    /// not know, and Fetch gets it back. A hint that may be wrong. Asked on every local miss, so it takes from memory what it can.
    /// </summary>
    ulong Believes(Tenant tenant, ReadOnlySpan<byte> key);

    /// <summary>
    /// Whether the block is there, for a client that asks for just that. A hint that may be wrong; a tier that does not know from memory may
    /// ask the network once, within the time that a prefix match may take.
    /// </summary>
    bool Has(Tenant tenant, ReadOnlySpan<byte> key) => Believes(tenant, key) != 0;

    /// <summary>
    /// How many keys of the chain, from <paramref name="from"/> on, it believes to hold without a gap. A hint that may be wrong; a tier that
    /// does not know says 0. It may ask the network once, within the time that a prefix match may take.
    /// </summary>
    int CountPrefix(Tenant tenant, KeyRun keys, int from);

    /// <summary>
    /// Brings a block into <paramref name="intake"/>, within the time that is left there. The engine looks at nothing of the intake unless
    /// the answer is <see cref="FetchOutcome.Filled"/>.
    /// </summary>
    /// <param name="belief">What <see cref="Believes"/> said a moment ago.</param>
    FetchOutcome Fetch(Tenant tenant, ReadOnlySpan<byte> key, ulong belief, IBlockIntake intake);

    /// <summary>
    /// A block that is about to leave this node, or was asked to be kept elsewhere too. Its bytes stay where they are until the call
    /// returns. True: the tier has it now or never wants it, and it is not offered again; false: perhaps later.
    /// </summary>
    bool Offer(in LeavingBlock block);

    /// <summary>
    /// The block was removed here by a client. A tier that keeps copies for this node gives it up, and shows it to nobody here from this call
    /// on. It must not wait for a network.
    /// </summary>
    /// <returns>Whether it believed to hold the block, as far as it knows from memory.</returns>
    bool Forget(Tenant tenant, ReadOnlySpan<byte> key) => false;

    /// <summary>As <see cref="Forget"/> for all blocks of a tenant, model or revision; null stands for all.</summary>
    void ForgetScope(Tenant tenant, string? model, string? revision)
    {
    }

    /// <summary>
    /// Another node removed the block, and this node has let its copy go. A tier gives up what it was given by this node and nobody else
    /// will take away. It must not wait for a network.
    /// </summary>
    /// <param name="wasHere">Whether this node had a copy.</param>
    void Drop(Tenant tenant, ReadOnlySpan<byte> key, bool wasHere)
    {
    }

    /// <summary>As <see cref="Drop"/> for all blocks of a tenant, model or revision; null stands for all.</summary>
    void DropScope(Tenant tenant, string? model, string? revision)
    {
    }
}

/// <summary>What a tier found.</summary>
public enum FetchOutcome
{
    /// <summary>The intake has every byte, each chunk accepted.</summary>
    Filled,

    /// <summary>It does not hold the block and had not said so.</summary>
    NotHere,

    /// <summary>It believed to hold the block and was wrong; by now it knows better.</summary>
    FalseHit,

    /// <summary>The block may be there, but did not come: out of reach, out of time, wrong bytes, or no room here.</summary>
    Failed,

    /// <summary>What it has has lost something, and an exact copy was wanted. The map is right, and nothing is wrong with it.</summary>
    Lossy,

    /// <summary>The block was written here by whoever holds it, because the tier asked: nothing is in the intake.</summary>
    Arrived,
}

/// <summary>Who waits for a fetch. Foreground goes first.</summary>
public enum FetchPriority
{
    /// <summary>A client waits for the bytes.</summary>
    Foreground,

    /// <summary>An order to bring the block here before anybody asks.</summary>
    Background,
}
