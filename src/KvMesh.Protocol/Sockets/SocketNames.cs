using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace KvMesh.Protocol.Sockets;

/// <summary>Reads the addresses that the kernel knows a socket by.</summary>
internal static unsafe class SocketNames
{
    private const int MaxAddressBytes = 128;

    /// <summary>The peer's address, or null for a Unix socket. Throws when the descriptor is no connected socket.</summary>
    public static IPEndPoint? Peer(int descriptor)
    {
        var address = stackalloc byte[MaxAddressBytes];
        var bytes = (uint)MaxAddressBytes;
        if (Libc.PeerName(descriptor, address, &bytes) < 0)
        {
            throw new ChannelException($"Descriptor {descriptor} is no connected socket: {Libc.LastErrorText()}.");
        }

        return Decode(new ReadOnlySpan<byte>(address, (int)bytes)) as IPEndPoint;
    }

    /// <summary>The address that a socket is bound to.</summary>
    public static EndPoint Local(int descriptor)
    {
        var address = stackalloc byte[MaxAddressBytes];
        var bytes = (uint)MaxAddressBytes;
        if (Libc.LocalName(descriptor, address, &bytes) < 0)
        {
            throw new ChannelException($"Descriptor {descriptor} is no socket: {Libc.LastErrorText()}.");
        }

        return Decode(new ReadOnlySpan<byte>(address, (int)bytes))
            ?? throw new ChannelException($"Descriptor {descriptor} is not bound to an address.");
    }

    /// <summary>IPv4 (also when mapped into IPv6), IPv6 or Unix; null for a Unix socket without a name.</summary>
    private static EndPoint? Decode(ReadOnlySpan<byte> address)
    {
        var family = BitConverter.ToUInt16(address);
        if (family == Libc.FamilyUnix)
        {
            var path = address[2..];
            var end = path.IndexOf((byte)0);
            path = end < 0 ? path : path[..end];
            return path.IsEmpty ? null : new UnixDomainSocketEndPoint(Encoding.UTF8.GetString(path));
        }

        var port = BinaryPrimitives.ReadUInt16BigEndian(address[2..]);
        var value = family switch
        {
            Libc.FamilyIPv4 => new IPAddress(address.Slice(4, 4)),
            Libc.FamilyIPv6 => new IPAddress(address.Slice(8, 16), BitConverter.ToUInt32(address[24..])),
            _ => throw new ChannelException($"A socket of address family {family} is neither TCP nor Unix."),
        };
        return new IPEndPoint(value.IsIPv4MappedToIPv6 ? value.MapToIPv4() : value, port);
    }
}
