using System.Text;
using KvMesh.Gateway.Access;

namespace KvMesh.Gateway.Resp;

/// <summary>
/// What the next process needs to go on with a connection at a command boundary: version, strictness, dialect, tenant, rights,
/// name. Both processes are ours, so rights travel as they were granted.
/// </summary>
internal sealed record RespSessionState(bool IsStrict, bool IsResp3, string TenantName, AccessRights Rights, string ClientName)
{
    private const byte Version = 1;

    public static byte[] Save(RespSession session)
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes, Encoding.UTF8);
        writer.Write(Version);
        writer.Write(session.IsStrict);
        writer.Write(session.Writer.IsResp3);
        writer.Write(session.Caller?.Tenant.Name ?? "");
        writer.Write((int)(session.Caller?.Rights ?? AccessRights.None));
        writer.Write(session.Connection.ClientName);
        writer.Flush();
        return bytes.ToArray();
    }

    /// <exception cref="InvalidDataException">The state is of another version, or cut.</exception>
    public static RespSessionState Read(ReadOnlySpan<byte> state)
    {
        if (state.IsEmpty || state[0] != Version)
        {
            throw new InvalidDataException($"State of a RESP connection has version {(state.IsEmpty ? 0 : state[0])}; this process reads {Version}.");
        }

        using var reader = new BinaryReader(new MemoryStream(state[1..].ToArray()), Encoding.UTF8);
        try
        {
            return new RespSessionState(
                reader.ReadBoolean(), reader.ReadBoolean(), reader.ReadString(), (AccessRights)reader.ReadInt32(), reader.ReadString());
        }
        catch (Exception error) when (error is IOException or FormatException)
        {
            throw new InvalidDataException("State of a RESP connection is cut short, or a length in it cannot be.", error);
        }
    }

    /// <summary>The caller that the connection had authenticated as; null when it had not, or its tenant is gone.</summary>
    public Caller? CallerIn(RespServices services) =>
        TenantName.Length > 0 && services.Engine.Tenants.Find(TenantName) is { } tenant ? new Caller(tenant, Rights) : services.Access.Anonymous;
}
