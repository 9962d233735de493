<?xml version="1.0" encoding="UTF-8"?>
<!-- NextGen (Mirth) Connect: <CLM><CLM.01><CLM.01.1>A</CLM.01.1></CLM.01><CLM.03/></CLM>, without loops. Numbers are
     padded (.01) or not (.1). -->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:saxon="http://icl.com/saxon"
    xmlns:cl="urn:claimlint:dialect"
    cl:title="NextGen (Mirth) Connect"
    cl:detect="/*[local-name() = 'X12Transaction' or local-name() = 'EDIMessage']"
    cl:tag="SEG">
  <xsl:output method="text" encoding="UTF-8"/>
  <xsl:template match="text()"/>

  <xsl:template name="segment" match="*[*[starts-with(local-name(), concat(local-name(..), '.'))]]">
    <xsl:variable name="dotted" select="concat(local-name(), '.')"/>
    <xsl:value-of select="concat(saxon:line-number(), '&#127;', local-name())"/>
    <xsl:for-each select="*[starts-with(local-name(), $dotted)]">
      <xsl:choose>
        <xsl:when test="*">
          <xsl:value-of select="concat('&#9;', substring-after(local-name(), '.'), '&#127;')"/>
          <xsl:for-each select="*">
            <xsl:value-of select="concat('&#13;', substring-after(local-name(), concat(local-name(..), '.')), '&#127;',
                translate(., '&#9;&#10;&#13;&#127;', '&#133;&#133;&#133; '))"/>
          </xsl:for-each>
        </xsl:when>
        <xsl:otherwise>
          <xsl:value-of select="concat('&#9;', substring-after(local-name(), '.'), '&#127;',
              translate(., '&#9;&#10;&#13;&#127;', '&#133;&#133;&#133; '))"/>
        </xsl:otherwise>
      </xsl:choose>
    </xsl:for-each>
    <xsl:text>&#10;</xsl:text>
  </xsl:template>
</xsl:stylesheet>
