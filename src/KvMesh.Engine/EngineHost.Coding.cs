using KvMesh.Engine.Coding;
using KvMesh.Engine.Host;

namespace KvMesh.Engine;

/// <summary>Blocks that lie encoded in RAM.</summary>
internal sealed partial class EngineHost
{
    /// <summary>Blocks may lie encoded in RAM when somebody can read them; they are encoded there when there is a coder for that.</summary>
    private void OpenCoding()
    {
        if ((_hostCoder ?? _diskCoder) is not { } reader)
        {
            return;
        }

        _decoder = new PayloadDecoder(reader, null, _hostCoding, _time);
        foreach (var tenant in Tenants.All)
        {
            tenant.Raw = new RawExtents(encodes: _hostCoder is not null);
        }

        if (_hostCoder is { } coder)
        {
            _encoder = new HostEncoder(coder, Registry, Evictor, _hostCoding, _options.HostCoding, _time);
            Evictor.UseEncoder(_encoder, forRoom: _options.Disk.CapacityBytes == 0);
        }
    }
}
