using KvMesh.Client.Admin;

namespace KvMesh.Dashboard.Feed;

/// <summary>Follows what a node says of one change of its capacity.</summary>
internal sealed class CapacityFeed(FeedSource source, CapacityKey key)
    : PollingFeed<CapacityPicture>(source, new CapacityPicture { Change = key.Change }, TimeSpan.FromSeconds(3))
{
    protected override async Task<CapacityPicture> LookAsync(AdminClient admin, CancellationToken cancellationToken)
    {
        try
        {
            var (ram, disk, codec) = key.Change;
            return Current with { Advice = await admin.GetAdviceAsync(ram, disk, codec, cancellationToken).ConfigureAwait(false), Refusal = null };
        }
        catch (AdminRefusedException refusal) when (refusal is { NeedsToken: false, LacksRights: false })
        {
            return Current with { Refusal = refusal.Message };
        }
    }
}
