using System.Runtime.InteropServices;
using KvMesh.Client.Connections;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Client.Operations;

/// <summary>Takes residence leases, and gives back earlier ones on the way.</summary>
internal sealed class LeaseOperation(KeySelection keys) : Operation
{
    private long[] _releases = [];

    public override Verb Verb => Verb.Lease;

    protected override bool LosslessOnly => keys.LosslessOnly;

    /// <summary>How long the node gives the leases for.</summary>
    public TimeSpan Duration { get; private set; }

    public LeaseGrant[] Grants { get; } = new LeaseGrant[keys.Count];

    protected override int KeyCount => keys.Count;

    public override bool TryCarry(ReturnedLeases returned)
    {
        _releases = returned.TakeAll();
        return true;
    }

    public override void WriteHead(FrameWriter writer)
    {
        new LeaseRequest { Releases = MemoryMarshal.AsBytes(_releases.AsSpan()) }.Write(writer);
        keys.Write(writer);

        // Another attempt is on another connection, where these ids mean nothing.
        _releases = [];
    }

    protected override void TakeUnwanted(in FrameHeader header, in ResponseReader reader)
    {
        if (header.Status.IsRefusal())
        {
            reader.Skip(header.PayloadBytes);
        }
        else
        {
            ReadFrame(header, reader);
        }
    }

    protected override void ReadFrame(in FrameHeader header, in ResponseReader head)
    {
        var reader = new HeadReader(head.Head);
        Duration = TimeSpan.FromMilliseconds(reader.ReadUInt32());
        var count = reader.ReadUInt32();
        if (count != Grants.Length || header.PayloadBytes != 0)
        {
            throw Nonsense($"{count} grants for {Grants.Length} keys");
        }

        for (var index = 0; index < Grants.Length; index++)
        {
            Grants[index] = LeaseGrant.Read(ref reader);
        }

        if (!reader.IsValid)
        {
            throw Nonsense("its grants are cut short");
        }
    }
}
