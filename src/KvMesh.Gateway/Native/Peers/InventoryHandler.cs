using KvMesh.Cluster.Map;
using KvMesh.Engine.Blocks;
using KvMesh.Gateway.Access;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Gateway.Native.Peers;

/// <summary>
/// Lists the node's content blocks for a directory, a page at a time. A block that is here during the whole listing is listed; one that
/// comes or goes meanwhile may be, and is in the feed. A page is bounded by the blocks that are looked at, so that a directory of few
/// slots may get empty ones. Behind the node's own blocks come those that its workers hold, for whoever wants to know of them.
/// </summary>
internal static class InventoryHandler
{
    /// <summary>Blocks that are looked at for one page: about a millisecond.</summary>
    private const int MaxVisits = 4096;

    private const int TenantShift = 40;

    /// <summary>Marks a cursor among what workers hold.</summary>
    private const long HeldPages = 1L << 62;

    public static void Handle(NativeExchange exchange)
    {
        if (!exchange.Require(AccessRights.Peer))
        {
            return;
        }

        var tenants = exchange.Engine.Tenants.All;
        if (!InventoryRequest.TryRead(exchange.Receiver.Head, out var request) || request.Cursor < 0 || !IsCursor(request, tenants.Count))
        {
            exchange.Refuse(NativeStatus.BadRequest, $"Inventory: the cursor is {request.Cursor} and the head has {exchange.Receiver.Head.Length} bytes; it must have {FeedRequest.Bytes}, and a cursor of the last answer.");
            return;
        }

        if (exchange.Services.Peers?.Locator.Role is not { } role || role.KeyId != request.KeyId)
        {
            exchange.Refuse(NativeStatus.Unavailable, "Inventory: this node does not know the cluster's digest key of that id yet.");
            return;
        }

        var states = new List<DigestState>();
        var next = (request.Cursor & HeldPages) != 0 ? ListHeld(exchange, request, role.Secret, states) : Scan(exchange, request, role.Secret, states);
        exchange.Begin();
        new InventoryResponse(next, (uint)states.Count).Write(exchange.Writer);
        foreach (var state in states)
        {
            state.Write(exchange.Writer);
        }

        exchange.Writer.End(NativeStatus.Ok);
    }

    private static bool IsCursor(in InventoryRequest request, int tenants) =>
        (request.Cursor & HeldPages) != 0 ? request.WantsHeld && (request.Cursor & ~HeldPages) <= int.MaxValue : request.Cursor >> TenantShift < tenants;

    /// <summary>Adds the blocks of a page. Returns the cursor of the next one.</summary>
    private static long Scan(NativeExchange exchange, InventoryRequest request, DigestSecret secret, List<DigestState> states)
    {
        var tenants = exchange.Engine.Tenants.All;
        var index = (int)(request.Cursor >> TenantShift);
        var number = TenantNumbers.Of(tenants[index].Name);
        var most = (int)Math.Clamp(request.MaxBlocks, 1, MaxVisits);
        var cursor = exchange.Engine.Scan(tenants[index], request.Cursor & ((1L << TenantShift) - 1), most, (key, info) =>
        {
            var digest = KeyDigest.Compute(secret, number, key.Span);
            if (info.IsContent && request.Slots.Contains(DigestSlots.Of(digest)))
            {
                states.Add(FeedLog.StateOf(digest, info));
            }
        });
        return cursor != 0 ? ((long)index << TenantShift) | cursor
            : index + 1 < tenants.Count ? (long)(index + 1) << TenantShift
            : request.WantsHeld && exchange.Engine.HeldBlocks > 0 ? HeldPages
            : 0;
    }

    /// <summary>As <see cref="Scan"/>, of what workers hold. A block that the node has too was listed already, and is listed as it stands now.</summary>
    private static long ListHeld(NativeExchange exchange, InventoryRequest request, DigestSecret secret, List<DigestState> states)
    {
        var page = new List<(Tenant Tenant, ReadOnlyMemory<byte> Key)>();
        var next = exchange.Engine.ListHeld(request.Cursor & ~HeldPages, (int)Math.Clamp(request.MaxBlocks, 1, MaxVisits), page);
        foreach (var (tenant, key) in page)
        {
            var state = FeedLog.StateOf(exchange.Engine, tenant, key.Span, secret);
            if (state.IsPresent && request.Slots.Contains(DigestSlots.Of(state.Digest)))
            {
                states.Add(state);
            }
        }

        return next != 0 ? next | HeldPages : 0;
    }
}
