using System.Diagnostics.CodeAnalysis;
using KvMesh.Protocol.Native;

namespace KvMesh.Protocol.Placement;

/// <summary>What an operator asks of the node that plans. Sent on the wire: append only.</summary>
public enum DeskAction : byte
{
    List = 1,
    Plan = 2,
    Cancel = 3,
    Pause = 4,
    Resume = 5,
    Audit = 6,
    BeginDrain = 7,
    EndDrain = 8,
    DrainProgress = 9,

    /// <summary>The flows of the node that is asked, which need not be the one that plans.</summary>
    Flows = 10,

    /// <summary>A node was declared gone by the actor.</summary>
    NoteForgotten = 11,
}

/// <summary>
/// An operator's wish, passed on by the node that got it: u8 action, 7 × u8 zero, i64 id of an order (cancel), u16 length and node (drains, declared gone), u16
/// length and actor. The answer's payload is the JSON of the admin API; none where there is nothing to say, status 1 where there is no such order
/// or node.
/// </summary>
public sealed record DeskRequest(DeskAction Action, long Id, string Node, string Actor)
{
    public static bool TryRead(ReadOnlySpan<byte> head, [NotNullWhen(true)] out DeskRequest? request)
    {
        var reader = new HeadReader(head);
        var action = (DeskAction)reader.ReadByte();
        reader.ReadBytes(7);
        var id = reader.ReadInt64();
        var node = PlacementKeys.ReadText(ref reader);
        var actor = PlacementKeys.ReadText(ref reader);
        request = reader.IsComplete && action is >= DeskAction.List and <= DeskAction.NoteForgotten ? new DeskRequest(action, id, node, actor) : null;
        return request is not null;
    }

    public void Write(FrameWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteByte((byte)Action);
        writer.WriteBytes(stackalloc byte[7]);
        writer.WriteInt64(Id);
        PlacementKeys.WriteText(writer, Node);
        PlacementKeys.WriteText(writer, Actor, PlacementLimits.MaxActorBytes);
    }
}
