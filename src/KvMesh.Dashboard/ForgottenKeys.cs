using System.Xml.Linq;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.AspNetCore.DataProtection.Repositories;
using Microsoft.AspNetCore.DataProtection.XmlEncryption;

namespace KvMesh.Dashboard;

/// <summary>
/// Keeps no key. Razor pages bring data protection along, which makes a key when the server starts and would write it to the
/// user's home, although nothing here is ever encrypted with it.
/// </summary>
internal sealed class ForgottenKeys : IXmlRepository
{
    public static void Configure(KeyManagementOptions options)
    {
        options.XmlRepository = new ForgottenKeys();
        options.XmlEncryptor = new NullXmlEncryptor();
    }

    public IReadOnlyCollection<XElement> GetAllElements() => [];

    public void StoreElement(XElement element, string friendlyName)
    {
    }
}
