using System.Text;
using KvMesh.Cluster.Map;
using KvMesh.Gateway.Access;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Gateway.Native.Peers;

/// <summary>Tells another node who holds blocks of the slots that this node is a directory for.</summary>
internal static class LocateHandler
{
    public static void Handle(NativeExchange exchange)
    {
        if (!exchange.Require(AccessRights.Peer))
        {
            return;
        }

        if (!LocateRequest.TryRead(exchange.Receiver.Head, out var request))
        {
            exchange.Refuse(NativeStatus.BadRequest, $"Locate: the count is {request.Count} in a head of {exchange.Receiver.Head.Length} bytes; it must be 1 to {(request.AsksForAll ? LocateRequest.MaxBlocksOfAll : Limits.MaxBlocksPerRequest)}, with 16 bytes each.");
            return;
        }

        if (exchange.Services.Peers?.Locator is not { Role: { } role } locator || role.KeyId != request.KeyId)
        {
            exchange.Refuse(NativeStatus.Unavailable, "Locate: this node does not know the cluster's digest key of that id yet.");
            return;
        }

        Answer(exchange, request, locator);
    }

    private static void Answer(NativeExchange exchange, LocateRequest request, BlockLocator locator)
    {
        var holders = new HolderLists(request.Count);
        var places = new Dictionary<ushort, ushort>();
        var names = new List<byte[]>();
        Span<ushort> found = stackalloc ushort[HolderLists.MaxNamed];
        for (var block = 0; block < holders.Count; block++)
        {
            var named = 0;
            foreach (var number in found[..Find(locator.Map, request.DigestAt(block), request.AsksForAll, found)])
            {
                if (!places.ContainsKey(number) && locator.NodeOf(number) is { } node)
                {
                    places.Add(number, (ushort)names.Count);
                    names.Add(Encoding.UTF8.GetBytes(node.Id.Value));
                }

                // A node that left this instant has no place, and is not told.
                if (places.ContainsKey(number))
                {
                    found[named++] = number;
                }
            }

            holders.Set(block, found[..named]);
        }

        exchange.Begin();
        var writer = exchange.Writer;
        new LocateResponse((ushort)names.Count, (uint)holders.Count).Write(writer);
        foreach (var name in names)
        {
            writer.WriteShortBytes(name);
        }

        for (var block = 0; block < holders.Count; block++)
        {
            var isSure = locator.IsComplete(DigestSlots.Of(request.DigestAt(block)));
            writer.WriteByte((byte)(holders[block].Length | (isSure ? 0 : LocateResponse.Unsure)));
            foreach (var number in holders[block])
            {
                writer.WriteUInt16(places[number]);
            }
        }

        writer.End(NativeStatus.Ok);
    }

    /// <summary>All holders, or those that a reader needs, with a copy in RAM first.</summary>
    private static int Find(BlockMap map, in KeyDigest digest, bool all, Span<ushort> found)
    {
        if (all)
        {
            return map.FindAll(digest, found);
        }

        var holders = map.Find(digest);
        for (var index = 0; index < holders.Count; index++)
        {
            found[index] = holders[index];
        }

        return holders.Count;
    }
}
