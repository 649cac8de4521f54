using KvMesh.Engine.Blocks;
using KvMesh.Engine.FarTiers.Holders;

namespace KvMesh.Engine;

/// <summary>
/// Blocks in the memory of connected workers, the tier Gpu: a worker announces them, is asked for one when a reader misses it here, and writes it then as any block is written.
/// </summary>
public sealed partial class BlockEngine
{
    /// <summary>Name of the tier in figures.</summary>
    public const string HeldTierName = HeldBlockTier.TierName;

    private volatile HeldBlockTier? _held;

    /// <summary>Blocks that connected workers have announced, each counted once for each worker.</summary>
    public int HeldBlocks => _held?.Blocks ?? 0;

    /// <summary>Opens the ledger of what one connected worker holds. Null: <see cref="FarTiers.FarTierOptions.MaxHolders"/> have one.</summary>
    public Holding? OpenHolding(Tenant tenant) => Held().Open(tenant);

    /// <summary>The ledger of that number, if it is the tenant's and its connection lives.</summary>
    public Holding? FindHolding(Tenant tenant, ulong number) => _held?.Find(tenant, number);

    /// <summary>A worker was asked for a block and does not have it any more. False: nobody asks for it now.</summary>
    public bool DeclineAsk(Tenant tenant, ulong number) => _held?.Decline(tenant, number) == true;

    /// <summary>
    /// A worker begins to write a block that it was asked for; end it with <see cref="EndHandOver"/>. Null: nobody asks for it, or it was removed since, or it is not what was
    /// announced: the bytes are not wanted.
    /// </summary>
    /// <param name="isOther">Whether what is sent is not what was announced; the worker is not asked for it again.</param>
    public BlockAsk? BeginHandOver(Tenant tenant, ulong number, ReadOnlySpan<byte> key, long payloadBytes, out bool isOther)
    {
        isOther = false;
        return _held?.BeginHandOver(tenant, number, key, payloadBytes, out isOther);
    }

    /// <summary>As <see cref="Seal(Reservation, in SealOptions)"/>, unless the block was removed while it was on its way.</summary>
    public SealStatus SealHandOver(Reservation reservation, BlockAsk ask)
    {
        ArgumentNullException.ThrowIfNull(ask);
        return _writer.Seal(reservation.End(), new SealOptions { Unless = () => ask.IsForgotten });
    }

    /// <summary>Tells those who wait for a block what became of it.</summary>
    /// <param name="ask">What was asked.</param>
    /// <param name="isHere">Whether the block is here now.</param>
    /// <param name="wasWrong">Whether its bytes were not what their checksums say: the worker is not asked for it again.</param>
    public void EndHandOver(BlockAsk ask, bool isHere, bool wasWrong) => _held?.EndHandOver(ask, isHere, wasWrong);

    /// <summary>Whether a worker has announced the block.</summary>
    public bool IsHeld(Tenant tenant, ReadOnlySpan<byte> key) => _held is { } held && held.Believes(tenant, key) != 0;

    /// <summary>What workers have announced of a block, whether they answer now or not.</summary>
    public bool TryInspectHeld(Tenant tenant, ReadOnlySpan<byte> key, out BlockInfo info)
    {
        HeldBlock block = default;
        var isHeld = _held is { } held && held.TryInspect(tenant, key, out block);
        info = isHeld ? new BlockInfo(block.PayloadBytes, BlockTiers.Gpu, IsContent: true, 0, 0, 0, block.Scope.Model, block.Scope.Revision) : default;
        return isHeld;
    }

    /// <summary>
    /// Adds a page of blocks that workers have announced to a list; one that lasts during the whole listing is listed, perhaps more than once. From 0; returns
    /// where the next page begins, 0 at the end.
    /// </summary>
    public long ListHeld(long from, int most, List<(Tenant Tenant, ReadOnlyMemory<byte> Key)> page) => _held?.List(from, most, page) ?? 0;

    /// <summary>Asks a worker for a block that another node wants. Beyond the workers of this node nobody is asked: that node asks others itself.</summary>
    private void FetchHeldForPeer(Tenant tenant, ReadOnlySpan<byte> key)
    {
        if (_held is { } held && _far is { } far)
        {
            far.FetchFrom(held, tenant, key);
        }
    }

    /// <summary>The tier is there from the first announcement on: a node without workers has none. It is asked before others, since a worker is nearer than another node.</summary>
    private HeldBlockTier Held()
    {
        lock (_farLock)
        {
            if (_held is null)
            {
                var held = new HeldBlockTier(_registry, Events, _options.FarTiers, _time);
                var far = _far ?? _host.StartFar(_writer);
                far.AttachFirst(held);
                _far = far;
                _held = held;
            }

            return _held;
        }
    }
}
