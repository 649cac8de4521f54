using KvMesh.Client.Admin;

namespace KvMesh.Dashboard.Feed;

/// <summary>Follows a page of a tenant's sequences.</summary>
internal sealed class SequenceListFeed(FeedSource source, SequenceListKey key)
    : PollingFeed<SequenceListPicture>(source, new SequenceListPicture { Tenant = key.Tenant, IsLaterPage = key.After is not null }, TimeSpan.FromSeconds(3))
{
    /// <summary>Sequences of a page.</summary>
    public const int PageSequences = 50;

    protected override async Task<SequenceListPicture> LookAsync(AdminClient admin, CancellationToken cancellationToken)
    {
        var tenants = await admin.GetTenantsAsync(cancellationToken).ConfigureAwait(false);
        var picture = Current with { Tenants = [.. tenants.Select(tenant => tenant.Name).Order(StringComparer.Ordinal)] };
        try
        {
            var list = await admin.ListSequencesAsync(key.Tenant, key.After, PageSequences, cancellationToken).ConfigureAwait(false);
            return picture with { List = list, Refusal = null };
        }
        catch (AdminRefusedException refusal) when (refusal is { NeedsToken: false, LacksRights: false })
        {
            return picture with { Refusal = refusal.Message };
        }
    }
}

/// <summary>Follows one sequence and where a page of its segments is.</summary>
internal sealed class SequenceFeed(FeedSource source, SequenceKey key)
    : PollingFeed<SequencePicture>(source, new SequencePicture { Tenant = key.Tenant, Name = key.Name }, TimeSpan.FromSeconds(3))
{
    /// <summary>Segments of a page.</summary>
    public const int PageSegments = 48;

    protected override async Task<SequencePicture> LookAsync(AdminClient admin, CancellationToken cancellationToken)
    {
        try
        {
            var status = await admin.GetSequenceAsync(key.Tenant, key.Name, cancellationToken).ConfigureAwait(false);
            var segments = await admin.GetSegmentPlacesAsync(key.Tenant, key.Name, key.First, PageSegments, cancellationToken).ConfigureAwait(false);
            return Current with { Status = status, Segments = segments, Refusal = null };
        }
        catch (AdminRefusedException refusal) when (refusal is { NeedsToken: false, LacksRights: false })
        {
            return Current with { Refusal = refusal.Message };
        }
    }
}
